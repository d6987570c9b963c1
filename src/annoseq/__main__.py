"""`python -m annoseq`: what `torchrun -m annoseq` starts."""

from __future__ import annotations

from annoseq.cli import main

if __name__ == "__main__":
    main()
