"""Icons that Python chooses by name; those that templates name stand in the templates."""

CHOSEN = (
    "arrow-down",
    "arrow-up",
    "layout-dashboard",
    "waves",
    "truck",
    "upload",
    "key-round",
    "split",
    "play",
    "plus",
    "search",
    "activity",
    "plug",
    "settings",
    "table-2",
    "triangle-alert",
    "repeat",
    "users",
    "user",
)
