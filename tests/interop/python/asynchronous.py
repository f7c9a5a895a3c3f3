"""async-kinesis: its producer creates the stream and puts, its consumer reads all shards. Ends with 0 and one line of JSON."""

import asyncio
import json
import os

from kinesis import Consumer, JsonLineProcessor, Producer

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
MESSAGES = 2_000


async def main() -> None:
    place = {"stream_name": "async", "endpoint_url": ENDPOINT, "region_name": os.environ["AWS_DEFAULT_REGION"]}
    async with Producer(
        **place, create_stream=True, create_stream_shards=3, buffer_time=0.1, processor=JsonLineProcessor()
    ) as producer:
        for number in range(MESSAGES):
            await producer.put({"number": number, "text": "wind 🌊"})
        await producer.flush()
    seen = []
    async with Consumer(
        **place, processor=JsonLineProcessor(), sleep_time_no_records=0.1, max_shard_consumers=3
    ) as consumer:
        async with asyncio.timeout(60):
            while len(seen) < MESSAGES:
                seen += [item async for item in consumer]
    assert sorted(item["number"] for item in seen) == list(range(MESSAGES)), "not every message came once"
    assert {item["text"] for item in seen} == {"wind 🌊"}
    print(json.dumps({"put": MESSAGES, "read": len(seen)}))


asyncio.run(main())
