"""The peer: a Django project that serves the same pages with django-nextjs, as its documentation says."""
