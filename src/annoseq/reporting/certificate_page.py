"""Certificate of coverage as one HTML page for people who sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.atomic_io import atomic_file
from annoseq.reporting.html_page import make_environment

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.evaluation.certificate import Certificate


def write_certificate_page(certificate: Certificate, path: Path, *, overwrite: bool) -> None:
    """Write a certificate as HTML, whole or not at all.

    Raises:
        OptionError: jinja2 is not installed.
        OutputError: the file exists and may not be overwritten, or cannot be written.
    """
    template = make_environment().get_template("certificate.html.j2")
    page = template.render(certificate=certificate, measured=certificate.measured)
    with atomic_file(path, overwrite=overwrite) as new:
        new.write_text(page, encoding="utf-8")
