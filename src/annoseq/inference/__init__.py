"""What most users need: load a model folder, annotate texts, tables and folders of texts."""
