"""Help as it is written in the source, laid out for any width of terminal."""


def help_text(text: str) -> str:
    """Join the lines of each paragraph, so that the terminal wraps them; indented lines stay as they are."""
    return "\n\n".join(
        paragraph if paragraph.startswith("  ") else paragraph.replace("\n", " ") for paragraph in text.split("\n\n")
    )
