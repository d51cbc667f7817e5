"""Server-side rendering: a page through Django, its parts alone, and the same page served by django-nextjs."""
