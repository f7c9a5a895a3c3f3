"""One file per resource: its serializers, its views, its addresses."""
