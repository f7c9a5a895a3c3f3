"""What a page costs, measured in Chromium: bytes over the wire, requests, nodes; and on slow machines: times and frames."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, CDPSession, Page

KB = 1_000

FIRST_VISIT_BYTES_MAX = 140 * KB
LATER_PAGE_BYTES_MAX = 15 * KB
SCRIPT_BYTES_MAX = 25 * KB
STYLE_BYTES_MAX = 15 * KB
REQUESTS_MAX = 14
NODES_MAX = 1_500

PHONE = {"offline": False, "latency": 150, "downloadThroughput": 1_600_000 / 8, "uploadThroughput": 750_000 / 8}
"""1.6 Mbit/s, 150 ms."""
SLOWER = 4
"""A phone's processor is so many times slower."""

WATCH = """() => {
  window.seen = { lcp: 0, cls: 0, tbt: 0 };
  const on = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
  on("largest-contentful-paint", (entry) => { seen.lcp = entry.startTime; });
  on("layout-shift", (entry) => { if (!entry.hadRecentInput) seen.cls += entry.value; });
  on("longtask", (entry) => { seen.tbt += Math.max(0, entry.duration - 50); });
}"""

FRAMES = """(forMs) => new Promise((done) => { let n = 0; const began = performance.now();
  (function frame(now) { n++; now - began < forMs ? requestAnimationFrame(frame) : done(n * 1000 / (now - began)); })(began); })"""


@dataclass
class Wire:
    """What came over the network, by address; compressed, with heads."""

    bytes: dict[str, int] = field(default_factory=dict)
    bodies: dict[str, int] = field(default_factory=dict)
    """Without heads."""

    _by_id: dict[str, str] = field(default_factory=dict)

    def asked(self, event: dict) -> None:
        self._by_id[event["requestId"]] = event["request"]["url"]

    def part_came(self, event: dict) -> None:
        address = self._by_id.get(event["requestId"], "")
        self.bodies[address] = self.bodies.get(address, 0) + int(event["encodedDataLength"])

    def came(self, event: dict) -> None:
        address = self._by_id.get(event["requestId"])
        if address is not None and address.startswith("http"):
            self.bytes[address] = self.bytes.get(address, 0) + int(event["encodedDataLength"])

    def of(self, part: str) -> int:
        """Bodies of the addresses with this part."""
        return sum(size for address, size in self.bodies.items() if part in address)

    @property
    def total(self) -> int:
        return sum(self.bytes.values())

    @property
    def requests(self) -> int:
        """From the cache of the browser come none."""
        return sum(size > 0 for size in self.bytes.values())

    def __str__(self) -> str:
        rows = sorted(((size, address) for address, size in self.bytes.items()), reverse=True)
        return "\n".join(f"{size:8} {address}" for size, address in rows)


@contextmanager
def wire(context: BrowserContext, page: Page) -> Iterator[Wire]:
    """What the page loads during the block."""
    seen, session = Wire(), context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.requestWillBeSent", seen.asked)
    session.on("Network.dataReceived", seen.part_came)
    session.on("Network.loadingFinished", seen.came)
    try:
        yield seen
    finally:
        session.detach()


def as_phone(context: BrowserContext, page: Page) -> CDPSession:
    """Slow in network and processor, until the session is detached."""
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", PHONE)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    return session
