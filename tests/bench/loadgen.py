#!/usr/bin/env python3
"""Closed-loop load generator for any Kinesis Data Streams compatible endpoint.

It is made cheap so that the server, not the generator, is the bottleneck:

  * requests are raw HTTP/1.1 bytes, signed with SigV4 before the clock starts
    (a small signer, checked against botocore's at every start; long runs are
    re-signed every minute so that a server may verify dates),
  * one process, one epoll loop, keep-alive sockets, one request in flight per
    connection, responses framed by Content-Length or chunked encoding,
  * responses are never decoded as JSON on the hot path; counts are taken by
    searching the bytes.

Needs Python 3.9+ on Linux and boto3 (stream set-up and signer check only).

    loadgen.py run --endpoint http://127.0.0.1:4568 --stream bench \
        --access-key test --secret-key test --region us-east-1 \
        --workloads a,b,c,d,e,f --server-pid PID --json out.json
    loadgen.py startup --endpoint http://127.0.0.1:4568 -- node main.js

See README.md beside this file for what each workload does and prints.
"""

import argparse
import base64
import collections
import datetime
import gc
import hashlib
import hmac
import json
import os
import random
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse

TARGET = "Kinesis_20131202."
CTYPE = "application/x-amz-json-1.1"
now = time.perf_counter
CLK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


# --------------------------------------------------------------------------
# Signing and request building
# --------------------------------------------------------------------------
class Signer:
    """SigV4 for one endpoint; about 15 us a request once the body is hashed."""

    def __init__(self, endpoint, access, secret, region):
        u = urllib.parse.urlsplit(endpoint)
        self.tls = u.scheme == "https"
        self.hostname = u.hostname
        self.port = u.port or (443 if self.tls else 80)
        self.netloc = u.netloc
        self.access, self.secret, self.region = access, secret, region
        self._day = None

    def _key(self, day):
        if self._day != day:
            k = ("AWS4" + self.secret).encode()
            for part in (day, self.region, "kinesis", "aws4_request"):
                k = hmac.new(k, part.encode(), hashlib.sha256).digest()
            self._day, self._k = day, k
        return self._k

    def signature(self, op, body_sha, date):
        canon = (
            "POST\n/\n\ncontent-type:%s\nhost:%s\nx-amz-date:%s\n"
            "x-amz-target:%s%s\n\n"
            "content-type;host;x-amz-date;x-amz-target\n%s" % (CTYPE, self.netloc, date, TARGET, op, body_sha)
        )
        sts = "AWS4-HMAC-SHA256\n%s\n%s/%s/kinesis/aws4_request\n%s" % (
            date,
            date[:8],
            self.region,
            hashlib.sha256(canon.encode()).hexdigest(),
        )
        return hmac.new(self._key(date[:8]), sts.encode(), hashlib.sha256).hexdigest()

    def wire(self, op, body, body_sha=None, date=None):
        body_sha = body_sha or hashlib.sha256(body).hexdigest()
        date = date or datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        sig = self.signature(op, body_sha, date)
        head = (
            "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\n"
            "X-Amz-Target: %s%s\r\nX-Amz-Date: %s\r\n"
            "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s/%s/kinesis/"
            "aws4_request, SignedHeaders=content-type;host;x-amz-date;"
            "x-amz-target, Signature=%s\r\nAccept-Encoding: identity\r\n"
            "Content-Length: %d\r\n\r\n"
            % (self.netloc, CTYPE, TARGET, op, date, self.access, date[:8], self.region, sig, len(body))
        )
        return head.encode() + body

    def check_against_botocore(self):
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        body = b'{"StreamName":"x"}'
        scheme = "https" if self.tls else "http"
        req = AWSRequest(
            "POST",
            "%s://%s/" % (scheme, self.netloc),
            data=body,
            headers={"Content-Type": CTYPE, "X-Amz-Target": TARGET + "ListStreams"},
        )
        SigV4Auth(Credentials(self.access, self.secret), "kinesis", self.region).add_auth(req)
        theirs = req.headers["Authorization"].rsplit("Signature=", 1)[1]
        ours = self.signature("ListStreams", hashlib.sha256(body).hexdigest(), req.headers["X-Amz-Date"])
        if ours != theirs:
            raise SystemExit("signer self-check against botocore failed")


class Pool:
    """A ring of pre-signed requests of one kind."""

    def __init__(self, signer, op, bodies):
        self.signer, self.op = signer, op
        self.bodies = [(b, hashlib.sha256(b).hexdigest()) for b in bodies]
        self.resign()

    def resign(self):
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        self.reqs = [self.signer.wire(self.op, b, h, date) for b, h in self.bodies]
        self.signed_at = now()
        self.i = 0

    def next(self):
        i = self.i
        if i >= len(self.reqs):
            if now() - self.signed_at > 60:
                self.resign()
            i = 0
        self.i = i + 1
        return self.reqs[i]


def key(rng):
    return "%016x" % rng.getrandbits(64)


def data(rng, size):
    return base64.b64encode(rng.randbytes(size)).decode()


def put_record_pool(signer, stream, size=100, n=4000):
    rng = random.Random(1)
    return Pool(
        signer,
        "PutRecord",
        [
            json.dumps({"StreamName": stream, "Data": data(rng, size), "PartitionKey": key(rng)}).encode()
            for _ in range(n)
        ],
    )


def put_records_pool(signer, stream, per, size, n=64):
    rng = random.Random(2)
    return Pool(
        signer,
        "PutRecords",
        [
            json.dumps(
                {
                    "StreamName": stream,
                    "Records": [{"Data": data(rng, size), "PartitionKey": key(rng)} for _ in range(per)],
                }
            ).encode()
            for _ in range(n)
        ],
    )


# --------------------------------------------------------------------------
# HTTP connection
# --------------------------------------------------------------------------
class Conn:
    def __init__(self, signer):
        self.s = signer
        self.reconnects = -1
        self.sock = None
        self.connect()

    def connect(self):
        if self.sock is not None:
            self.sock.close()
        sock = socket.create_connection((self.s.hostname, self.s.port), 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
        if self.s.tls:
            ctx = ssl.create_default_context()
            ctx.check_hostname = False
            ctx.verify_mode = ssl.CERT_NONE
            sock = ctx.wrap_socket(sock, server_hostname=self.s.hostname)
        sock.setblocking(False)
        self.sock = sock
        self.fd = sock.fileno()
        self.reconnects += 1
        self.reset()

    def reset(self):
        self.buf = b""
        self.body_at = -1
        self.close = False
        self.out = None

    def start(self, req):
        """Send; returns True when everything went out at once."""
        self.reset()
        self.t0 = now()
        self.out = memoryview(req)
        return self.flush()

    def flush(self):
        try:
            n = self.sock.send(self.out)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return False
        if n == len(self.out):
            self.out = None
            return True
        self.out = self.out[n:]
        return False

    def receive(self):
        """None while incomplete, else (status, body). EOFError if closed."""
        while True:
            try:
                d = self.sock.recv(1 << 20)
            except (BlockingIOError, ssl.SSLWantReadError):
                return None
            if not d:
                if self.body_at >= 0 and self.length is None and not self.chunked:
                    self.close = True
                    return self.status, bytes(self.buf[self.body_at :])
                raise EOFError
            r = self._feed(d)
            if r is not None:
                return r
            if not self.s.tls:
                return None

    def _feed(self, d):
        if self.buf:
            if type(self.buf) is bytes:
                self.buf = bytearray(self.buf)
            self.buf += d
        else:
            self.buf = d
        buf = self.buf
        if self.body_at < 0:
            i = buf.find(b"\r\n\r\n")
            if i < 0:
                return None
            head = bytes(buf[:i]).lower()
            self.status = int(head[9:12])
            if self.status == 100:
                self.buf = bytes(buf[i + 4 :])
                rest, self.buf = self.buf, b""
                return self._feed(rest) if rest else None
            self.body_at = i + 4
            self.length = None
            self.chunked = False
            self.close = head.startswith(b"http/1.0")
            j = head.find(b"\r\ncontent-length:")
            if j >= 0:
                self.length = int(head[j + 17 :].split(b"\r\n", 1)[0])
            elif b"transfer-encoding: chunked" in head:
                self.chunked = True
                self.cpos = self.body_at
                self.parts = []
            if b"\r\nconnection: close" in head:
                self.close = True
            elif b"\r\nconnection: keep-alive" in head:
                self.close = False
        if self.length is not None:
            end = self.body_at + self.length
            if len(buf) >= end:
                return self.status, bytes(buf[self.body_at : end])
            return None
        if self.chunked:
            while True:
                k = buf.find(b"\r\n", self.cpos)
                if k < 0:
                    return None
                size = int(bytes(buf[self.cpos : k]).split(b";")[0], 16)
                if len(buf) < k + 4 + size:
                    return None
                if size == 0:
                    return self.status, b"".join(self.parts)
                self.parts.append(bytes(buf[k + 2 : k + 2 + size]))
                self.cpos = k + 4 + size
        return None

    def call(self, req, timeout=120.0):
        """One blocking request on this connection (reconnects once)."""
        for attempt in (0, 1):
            try:
                ok = self.start(req)
                end = now() + timeout
                while now() < end:
                    r, w, _ = select.select([self.sock], [] if ok else [self.sock], [], 1.0)
                    if w:
                        ok = self.flush()
                    if r:
                        res = self.receive()
                        if res is not None:
                            if self.close:
                                self.connect()
                            return res
                raise TimeoutError
            except (EOFError, ConnectionError):
                self.connect()
                if attempt:
                    raise


def closed_loop(signer, nconn, first, on_done, stop_at, idle=None):
    """Drive nconn connections.

    first(i) gives connection i its first request. on_done(i, lat, status,
    body) gives the next request, or None to retire the connection. Nothing
    new is sent after stop_at (perf_counter seconds); on_done still sees what
    was in flight, with late=True through a status of -1 for timeouts.
    Returns the number of reconnects.
    """
    ep = select.epoll()
    byfd = {}
    conns = []

    def arm(c, ok):
        ep.modify(c.fd, select.EPOLLIN if ok else select.EPOLLIN | select.EPOLLOUT)
        c.want_w = not ok

    def add(c):
        ep.register(c.fd, select.EPOLLIN)
        byfd[c.fd] = c
        c.want_w = False

    for i in range(nconn):
        c = Conn(signer)
        c.i = i
        c.req = None
        conns.append(c)
        add(c)
    live = set(conns)
    for c in conns:
        c.req = first(c.i)
        if not c.start(c.req):
            arm(c, False)
    errors = 0
    grace = stop_at + 60
    while live:
        t = now()
        if t > grace:
            break
        for fd, ev in ep.poll(0.5, 256):
            c = byfd.get(fd)
            if c is None or c not in live:
                continue
            if ev & select.EPOLLOUT and c.out is not None:
                if c.flush():
                    arm(c, True)
            if not ev & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                continue
            try:
                res = c.receive()
            except (EOFError, ConnectionError):
                # Closed under us: a keep-alive race or a crash. Send again.
                errors += 1
                del byfd[c.fd]
                if errors > 100000:
                    raise
                c.connect()
                add(c)
                if not c.start(c.req):
                    arm(c, False)
                continue
            if res is None:
                continue
            t1 = now()
            nxt = on_done(c.i, t1 - c.t0, res[0], res[1])
            if nxt is None or t1 >= stop_at:
                live.discard(c)
                continue
            if c.close:
                del byfd[c.fd]
                c.connect()
                add(c)
            c.req = nxt
            if not c.start(nxt):
                arm(c, False)
            elif c.want_w:
                arm(c, True)
    n = sum(c.reconnects for c in conns)
    for c in conns:
        c.sock.close()
    ep.close()
    return n


# --------------------------------------------------------------------------
# Process accounting
# --------------------------------------------------------------------------
def tree(pid):
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        try:
            for t in os.listdir("/proc/%d/task" % p):
                with open("/proc/%d/task/%s/children" % (p, t)) as f:
                    todo += [int(x) for x in f.read().split()]
        except OSError:
            pass
    return out


def cpu_seconds(pid):
    """User + system CPU of a process and its living descendants."""
    if not pid:
        return 0.0
    n = 0
    for p in tree(pid):
        try:
            with open("/proc/%d/stat" % p) as f:
                f = f.read().rsplit(")", 1)[1].split()
            n += int(f[11]) + int(f[12])
        except OSError:
            pass
    return n / CLK


def rss_mb(pid):
    if not pid:
        return 0.0
    n = 0
    for p in tree(pid):
        try:
            with open("/proc/%d/statm" % p) as f:
                n += int(f.read().split()[1]) * PAGE
        except OSError:
            pass
    return n / 1e6


def machine_busy():
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:]]
    return (sum(v[:3]) + sum(v[5:8])) / CLK


class Meter:
    def __init__(self, pid):
        self.pid = pid
        self.t, self.srv = now(), cpu_seconds(pid)
        self.own, self.all = time.process_time(), machine_busy()

    def read(self):
        dt = now() - self.t
        srv = cpu_seconds(self.pid) - self.srv
        own = time.process_time() - self.own
        other = machine_busy() - self.all - srv - own
        return {
            "elapsed_s": round(dt, 3),
            "server_cpu_s": round(srv, 2),
            "generator_cpu_s": round(own, 2),
            "other_cpu_s": round(max(0.0, other), 2),
            "other_cores": round(max(0.0, other) / max(dt, 1e-9), 2),
        }


# --------------------------------------------------------------------------
# Counting
# --------------------------------------------------------------------------
FAILED = b'"FailedRecordCount"'
THROTTLE = b"ProvisionedThroughputExceeded"
ETYPE = re.compile(rb'"__type"\s*:\s*"([^"]*)"')
NEXT = re.compile(rb'"NextShardIterator"\s*:\s*("[^"]+")')
BEHIND = re.compile(rb'"MillisBehindLatest"\s*:\s*(\d+)')


class Count:
    def __init__(self):
        self.lat = []
        self.requests = self.records = 0
        self.failed = self.throttled = 0
        self.errors = collections.Counter()

    def put(self, lat, status, body, per):
        self.lat.append(lat)
        if status != 200:
            m = ETYPE.search(body)
            name = m.group(1).decode().rsplit("#")[-1] if m else ""
            self.errors["%d %s" % (status, name)] += 1
            self.failed += per
            if THROTTLE in body:
                self.throttled += per
            return 0
        self.requests += 1
        bad = 0
        if per > 1:
            i = body.find(FAILED)
            if i >= 0:
                j = i + len(FAILED)
                bad = int(re.match(rb"\s*:\s*(\d+)", body[j : j + 24]).group(1))
                if bad:
                    self.failed += bad
                    self.throttled += body.count(THROTTLE)
        self.records += per - bad
        return per - bad


def pct(xs, q):
    if not xs:
        return None
    xs = sorted(xs)
    return xs[min(len(xs) - 1, int(q * len(xs)))]


def ms(x):
    return None if x is None else round(x * 1000, 3)


def summary(cnt, seconds, size):
    return {
        "requests_per_s": round(cnt.requests / seconds, 1),
        "records_per_s": round(cnt.records / seconds, 1),
        "payload_MB_per_s": round(cnt.records * size / seconds / 1e6, 3),
        "p50_ms": ms(pct(cnt.lat, 0.50)),
        "p99_ms": ms(pct(cnt.lat, 0.99)),
        "max_ms": ms(max(cnt.lat) if cnt.lat else None),
        "records": cnt.records,
        "failed_records": cnt.failed,
        "throttled_records": cnt.throttled,
        "http_errors": dict(cnt.errors),
    }


# --------------------------------------------------------------------------
# Workloads
# --------------------------------------------------------------------------
class Bench:
    def __init__(self, a):
        self.a = a
        self.signer = Signer(a.endpoint, a.access_key, a.secret_key, a.region)
        self.signer.check_against_botocore()
        import boto3
        from botocore.config import Config

        self.boto = boto3.client(
            "kinesis",
            endpoint_url=a.endpoint,
            region_name=a.region,
            aws_access_key_id=a.access_key,
            aws_secret_access_key=a.secret_key,
            verify=False,
            config=Config(proxies={}, retries={"max_attempts": 2}, read_timeout=120),
        )
        self.rows = []

    def emit(self, name, row):
        row = dict({"label": self.a.label, "workload": name}, **row)
        self.rows.append(row)
        print(json.dumps(row), flush=True)
        if self.a.json:
            with open(self.a.json, "a") as f:
                f.write(json.dumps(row) + "\n")

    # -- streams
    def make(self, suffix):
        name = "%s-%s" % (self.a.stream, suffix)
        self.boto.create_stream(StreamName=name, ShardCount=self.a.shards)
        for _ in range(600):
            d = self.boto.describe_stream_summary(StreamName=name)
            if d["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE":
                return name
            time.sleep(0.1)
        raise SystemExit("stream never became ACTIVE")

    def drop(self, name):
        try:
            self.boto.delete_stream(StreamName=name)
            for _ in range(300):
                if name not in self.boto.list_streams(Limit=100)["StreamNames"]:
                    return
                time.sleep(0.1)
        except Exception as e:  # noqa: BLE001
            print("# could not delete %s: %s" % (name, e), file=sys.stderr)

    # -- timed put
    def timed_put(self, pool, nconn, per, size):
        a = self.a
        cnt = Count()
        box = {"meter": None}
        t_start = now()
        t_warm, t_stop = t_start + a.warmup, t_start + a.warmup + a.seconds
        gc.disable()

        def done(i, lat, status, body):
            t = now()
            if t >= t_stop:
                if "use" not in box and box["meter"]:
                    box["use"] = box["meter"].read()
                return None
            if t < t_warm:
                return pool.next()
            if box["meter"] is None:
                box["meter"] = Meter(a.server_pid)
                box["warm"] = t
            cnt.put(lat, status, body, per)
            return pool.next()

        rec = closed_loop(self.signer, nconn, lambda i: pool.next(), done, t_stop)
        gc.enable()
        seconds = t_stop - t_warm
        row = {"connections": nconn, "seconds": a.seconds}
        row.update(summary(cnt, seconds, size))
        row.update(box.get("use") or {})
        row["reconnects"] = rec
        row["rss_MB"] = round(rss_mb(a.server_pid), 1)
        return row

    def wl_a(self):
        for n in self.a.put_conns:
            name = self.make("a%d" % n)
            pool = put_record_pool(self.signer, name)
            self.emit("a PutRecord 100B c=%d" % n, self.timed_put(pool, n, 1, 100))
            self.drop(name)

    def wl_b(self):
        for n in self.a.batch_conns:
            name = self.make("b%d" % n)
            pool = put_records_pool(self.signer, name, 500, 100)
            self.emit("b PutRecords 500x100B c=%d" % n, self.timed_put(pool, n, 500, 100))
            self.drop(name)

    def wl_c(self):
        for n in self.a.batch_conns:
            name = self.make("c%d" % n)
            pool = put_records_pool(self.signer, name, 100, 1000)
            self.emit("c PutRecords 100x1KB c=%d" % n, self.timed_put(pool, n, 100, 1000))
            self.drop(name)

    # -- filling
    def fill(self, name, total, limit_s, nconn=4, per=500, size=100):
        pool = put_records_pool(self.signer, name, per, size)
        cnt = Count()
        line = []
        rss = []
        st = {"last": now(), "sent": nconn * per}
        meter = Meter(self.a.server_pid)
        t0 = now()
        t_stop = t0 + limit_s
        gc.disable()

        def done(i, lat, status, body):
            t = now()
            cnt.put(lat, status, body, per)
            line.append((t - t0, cnt.records))
            if t - st["last"] > 1.0:
                st["last"] = t
                rss.append((round(t - t0, 1), cnt.records, round(rss_mb(self.a.server_pid), 1)))
            if st["sent"] - cnt.failed >= total:
                return None
            st["sent"] += per
            return pool.next()

        closed_loop(self.signer, nconn, lambda i: pool.next(), done, t_stop)
        gc.enable()
        return cnt, line, rss, meter.read()

    # -- draining
    def api(self, conn, op, **kw):
        st, body = conn.call(self.signer.wire(op, json.dumps(kw).encode()))
        if st != 200:
            raise RuntimeError("%s: %d %s" % (op, st, body[:300]))
        return json.loads(body)

    def shard_ids(self, conn, name):
        return [s["ShardId"] for s in self.api(conn, "ListShards", StreamName=name)["Shards"]]

    def drain(self, name, expect, limit=10000):
        conn = Conn(self.signer)
        shards = self.shard_ids(conn, name)
        its = [
            self.api(conn, "GetShardIterator", StreamName=name, ShardId=s, ShardIteratorType="TRIM_HORIZON")[
                "ShardIterator"
            ]
            for s in shards
        ]
        w = self.signer.wire
        lat, got, nbytes = [], [0] * len(its), [0]
        errs = collections.Counter()
        cur = list(its)
        empties = [0] * len(its)
        last = [0.0]
        meter = Meter(self.a.server_pid)
        t0 = now()

        def req(i):
            return w("GetRecords", json.dumps({"ShardIterator": cur[i], "Limit": limit}).encode())

        def done(i, l, status, body):
            if status != 200:
                m = ETYPE.search(body)
                errs["%d %s" % (status, m.group(1).decode() if m else "")] += 1
                if sum(errs.values()) > 2000:
                    return None
                time.sleep(0.02)
                return req(i)
            lat.append(l)
            n = body.count(b'"SequenceNumber"')
            nbytes[0] += len(body)
            got[i] += n
            if n:
                last[0] = now()
            m = NEXT.search(body)
            if m is None:
                return None
            cur[i] = json.loads(m.group(1))
            if n == 0:
                b = BEHIND.search(body)
                empties[i] += 1
                if (b is None or int(b.group(1)) == 0) and empties[i] >= 2:
                    return None
                if empties[i] > 500:
                    return None
            else:
                empties[i] = 0
            if sum(got) >= expect:
                return None
            return req(i)

        gc.disable()
        closed_loop(self.signer, len(its), req, done, t0 + 120)
        gc.enable()
        use = meter.read()
        conn.sock.close()
        el = (last[0] or now()) - t0
        n = sum(got)
        row = {
            "connections": len(its),
            "records": n,
            "expected": expect,
            "records_per_s": round(n / el, 1),
            "payload_MB_per_s": round(n * 100 / el / 1e6, 3),
            "wire_MB_per_s": round(nbytes[0] / el / 1e6, 3),
            "responses": len(lat),
            "records_per_response": round(n / max(1, len(lat)), 1),
            "p50_ms": ms(pct(lat, 0.5)),
            "p99_ms": ms(pct(lat, 0.99)),
            "http_errors": dict(errs),
        }
        row.update(use)
        row["elapsed_s"] = round(el, 3)
        return row

    def wl_d(self):
        name = self.make("d")
        cnt, _, _, _ = self.fill(name, self.a.drain_records, self.a.drain_fill_seconds)
        self.emit("d GetRecords limit=10000", self.drain(name, cnt.records))
        self.drop(name)

    # -- end to end
    def e2e(self, name, n, poll=0.005):
        put, get = Conn(self.signer), Conn(self.signer)
        w = self.signer.wire
        rng = random.Random(3)

        def one_put():
            d = data(rng, 100)
            body = json.dumps({"StreamName": name, "Data": d, "PartitionKey": "fixed"}).encode()
            st, b = put.call(w("PutRecord", body))
            if st != 200:
                raise RuntimeError("PutRecord %d %s" % (st, b[:200]))
            return json.loads(b)

        first = one_put()
        it = self.api(
            get,
            "GetShardIterator",
            StreamName=name,
            ShardId=first["ShardId"],
            ShardIteratorType="AFTER_SEQUENCE_NUMBER",
            StartingSequenceNumber=first["SequenceNumber"],
        )["ShardIterator"]
        tot, ack, polls, throttled = [], [], [], 0
        lost = 0
        for _ in range(n):
            time.sleep(rng.random() * 0.004)
            t0 = now()
            r = one_put()
            t1 = now()
            seq = b'"' + r["SequenceNumber"].encode() + b'"'
            k = 0
            while True:
                k += 1
                st, b = get.call(w("GetRecords", json.dumps({"ShardIterator": it, "Limit": 10000}).encode()))
                if st != 200:
                    if THROTTLE in b:
                        throttled += 1
                        time.sleep(0.05)
                        continue
                    raise RuntimeError("GetRecords %d %s" % (st, b[:200]))
                it = json.loads(NEXT.search(b).group(1))
                if seq in b:
                    break
                if now() - t1 > 5:
                    lost += 1
                    break
                time.sleep(poll)
            t2 = now()
            tot.append(t2 - t0)
            ack.append(t1 - t0)
            polls.append(k)
        put.sock.close()
        get.sock.close()
        return {
            "samples": n,
            "p50_ms": ms(pct(tot, 0.5)),
            "p99_ms": ms(pct(tot, 0.99)),
            "max_ms": ms(max(tot)),
            "put_p50_ms": ms(pct(ack, 0.5)),
            "put_p99_ms": ms(pct(ack, 0.99)),
            "polls_mean": round(sum(polls) / n, 2),
            "not_seen_in_5s": lost,
            "throttled_polls": throttled,
        }

    def wl_e(self):
        name = self.make("e")
        self.e2e(name, 50)
        self.emit("e put-to-get", self.e2e(name, 200))
        self.drop(name)

    # -- a million records
    def wl_f(self):
        a = self.a
        name = self.make("f")
        base = rss_mb(a.server_pid)
        cnt, line, rss, use = self.fill(name, a.fill_records, a.fill_seconds)
        n = cnt.records
        time.sleep(2)
        end = rss_mb(a.server_pid)

        def at(share):
            want = share * n
            for t, r in line:
                if r >= want:
                    return t, r
            return line[-1]

        (ta, ra), (tb, rb), (tc, rc) = at(0.1), at(0.9), line[-1]
        row = {
            "connections": 4,
            "records": n,
            "wanted": a.fill_records,
            "stopped_early": n < a.fill_records,
            "seconds_to_fill": round(tc, 2),
            "records_per_s": round(n / tc, 1),
            "first_10pct_records_per_s": round(ra / ta, 1),
            "last_10pct_records_per_s": round((rc - rb) / max(1e-9, tc - tb), 1),
            "p50_ms": ms(pct(cnt.lat, 0.5)),
            "p99_ms": ms(pct(cnt.lat, 0.99)),
            "max_ms": ms(max(cnt.lat)),
            "rss_before_MB": round(base, 1),
            "rss_after_MB": round(end, 1),
            "rss_peak_MB": max([r for _, _, r in rss] + [end]),
            "bytes_per_record": round((end - base) * 1e6 / max(1, n)),
            "failed_records": cnt.failed,
            "throttled_records": cnt.throttled,
            "http_errors": dict(cnt.errors),
        }
        row.update(use)
        if a.server_pid:
            row["server_cpu_s_per_1M"] = round(use["server_cpu_s"] / max(1, n) * 1e6, 2)
        self.emit("f fill", row)
        try:
            self.emit("f put-to-get at the tip of the full stream", self.e2e(name, 50))
        except Exception as e:  # noqa: BLE001
            print("# tip e2e: %s" % e, file=sys.stderr)
        if a.drain_full:
            self.emit("f drain of the full stream", self.drain(name, n))
        if not a.keep:
            self.drop(name)


# --------------------------------------------------------------------------
def startup(a):
    signer = Signer(a.endpoint, a.access_key, a.secret_key, a.region)
    times, cpu, rss = [], [], []
    for _ in range(a.runs):
        try:
            socket.create_connection((signer.hostname, signer.port), 1).close()
            raise SystemExit("something already listens there")
        except OSError:
            pass
        t0 = now()
        p = subprocess.Popen(a.cmd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        ok = False
        while now() - t0 < a.limit and p.poll() is None:
            try:
                c = Conn(signer)
                st, _ = c.call(signer.wire("ListStreams", b"{}"), 10)
                c.sock.close()
                if st == 200:
                    ok = True
                    break
            except (OSError, EOFError):
                pass
            time.sleep(0.005)
        t = now() - t0
        if ok:
            times.append(t)
            cpu.append(cpu_seconds(p.pid))
            time.sleep(0.5)
            rss.append(rss_mb(p.pid))
        try:
            os.killpg(p.pid, signal.SIGTERM)
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()
        except ProcessLookupError:
            pass
        time.sleep(0.3)
    row = {
        "label": a.label,
        "workload": "g start-up",
        "runs": len(times),
        "seconds_median": round(pct(times, 0.5), 3) if times else None,
        "seconds_min": round(min(times), 3) if times else None,
        "seconds_max": round(max(times), 3) if times else None,
        "cpu_s": round(pct(cpu, 0.5), 2) if cpu else None,
        "idle_rss_MB": round(pct(rss, 0.5), 1) if rss else None,
    }
    print(json.dumps(row))
    if a.json:
        with open(a.json, "a") as f:
            f.write(json.dumps(row) + "\n")


def ints(s):
    return [int(x) for x in s.split(",") if x]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    sub = p.add_subparsers(dest="mode", required=True)
    r = sub.add_parser("run")
    s = sub.add_parser("startup")
    for q in (r, s):
        q.add_argument("--endpoint", required=True)
        q.add_argument("--access-key", default="test")
        q.add_argument("--secret-key", default="test")
        q.add_argument("--region", default="us-east-1")
        q.add_argument("--label", default="server")
        q.add_argument("--json", help="append one JSON object a line")
    r.add_argument("--stream", default="bench", help="prefix of stream names")
    r.add_argument("--shards", type=int, default=4)
    r.add_argument("--workloads", default="a,b,c,d,e,f")
    r.add_argument("--seconds", type=float, default=10)
    r.add_argument("--warmup", type=float, default=2)
    r.add_argument("--put-conns", type=ints, default=[1, 16, 64])
    r.add_argument("--batch-conns", type=ints, default=[1, 4])
    r.add_argument("--drain-records", type=int, default=200000)
    r.add_argument("--drain-fill-seconds", type=float, default=60)
    r.add_argument("--fill-records", type=int, default=1000000)
    r.add_argument("--fill-seconds", type=float, default=300)
    r.add_argument("--drain-full", action="store_true", help="after f, also drain the full stream")
    r.add_argument("--keep", action="store_true", help="keep f's stream")
    r.add_argument("--server-pid", type=int, default=0, help="for CPU and RSS of the server and its children")
    s.add_argument("--runs", type=int, default=5)
    s.add_argument("--limit", type=float, default=60)
    s.add_argument("cmd", nargs=argparse.REMAINDER)
    a = p.parse_args()
    if a.mode == "startup":
        a.cmd = a.cmd[1:] if a.cmd and a.cmd[0] == "--" else a.cmd
        return startup(a)
    b = Bench(a)
    for w in a.workloads.split(","):
        try:
            getattr(b, "wl_" + w.strip())()
        except Exception as e:  # noqa: BLE001
            b.emit(w, {"error": "%s: %s" % (type(e).__name__, str(e)[:300])})


if __name__ == "__main__":
    main()
