"""Review of a model's annotations in the browser: project, queue, decisions, agreement, export."""
