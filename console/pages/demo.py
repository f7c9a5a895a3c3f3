"""demo."""
from console.pages import ingestion
def load(team, user): ...
def demo(request, **k): return ingestion.jobs(request, **k)
