"""Where the pages' files lie: templates, the stylesheet, and the path of the htmx file of its package."""

from importlib.resources import files
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
HTMX = Path(str(files("django_htmx"))) / "static" / "django_htmx" / "htmx-2.min.js"
