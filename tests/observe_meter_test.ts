// Counters, histogram, and metrics as a real collector receives them.

import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  channel,
  encodeFrame,
  json,
  lengthPrefixed,
  lines,
} from "../framing/mod.ts";
import {
  ConnectionMetrics,
  LatencyHistogram,
  meter,
  type OpenTelemetryMeterProvider,
} from "../observe/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import { concat, duplexPair, utf8 } from "./_framing.ts";
import { forAll } from "./_random.ts";
import { startPeer, temporaryDirectory } from "./_tools.ts";

Deno.test("LatencyHistogram is within 1/32 of the exact percentiles", () => {
  forAll(20, (random) => {
    const histogram = new LatencyHistogram();
    const times = Array.from(
      { length: 1 + random.below(2000) },
      () => random.below(2 ** 30) / 2 ** random.below(30) / 1000,
    );
    for (const time of times) histogram.record(time);
    times.sort((a, b) => a - b);
    for (const percentile of [0, 1, 50, 90, 99, 99.9, 100]) {
      const rank = Math.max(1, Math.ceil(percentile / 100 * times.length));
      const exact = times[rank - 1];
      const found = histogram.percentile(percentile);
      const allowed = exact / 32 + 1e-6; // a nanosecond, for rounding
      assert(
        Math.abs(found - exact) <= allowed,
        `p${percentile}: ${found} for ${exact}`,
      );
    }
    const summary = histogram.summary();
    assertEquals(summary.count, times.length);
    assertEquals([summary.min, summary.max], [times[0], times.at(-1)!]);
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    assert(Math.abs(summary.mean - mean) <= 1e-9 * Math.max(1, mean));
  });
});

Deno.test("LatencyHistogram takes the shortest and the longest times", () => {
  const histogram = new LatencyHistogram();
  assertEquals(histogram.summary(), {
    count: 0,
    min: 0,
    mean: 0,
    p50: 0,
    p90: 0,
    p99: 0,
    max: 0,
  });
  histogram.record(0);
  assertEquals(histogram.percentile(100), 0);
  histogram.record(1e12);
  histogram.record(Number.MAX_VALUE);
  assertEquals(histogram.percentile(100) > 3e7, true);
  assertEquals(histogram.summary().max, Number.MAX_VALUE);
});

Deno.test("LatencyHistogram adds another one", () => {
  const both = new LatencyHistogram();
  const parts = [new LatencyHistogram(), new LatencyHistogram()];
  for (let i = 0; i < 100; i++) {
    both.record(i);
    parts[i % 2].record(i);
  }
  const sum = new LatencyHistogram();
  for (const part of [...parts, new LatencyHistogram()]) sum.add(part);
  assertEquals(sum.summary(), both.summary());
});

Deno.test("LatencyHistogram refuses what is no time", () => {
  const histogram = new LatencyHistogram();
  for (const time of [-1, NaN]) {
    assertThrows(() => histogram.record(time), RangeError, "milliseconds");
  }
  assertThrows(() => histogram.percentile(101), RangeError, "0 to 100");
});

Deno.test("meter counts bytes, messages and answers of a channel", async () => {
  const [here, there] = duplexPair();
  const format = lines();
  const metered = meter(here, { format, exchanges: "sent" });
  const client = channel<unknown, unknown>(metered, { format, codec: json });
  const server = channel<unknown, unknown>(there, { format, codec: json });
  for (let i = 0; i < 5; i++) {
    await client.send(i);
    await server.send([await server.receive()]);
    await client.receive();
  }
  await client.send("no answer");
  await server.receive();
  let snapshot = metered.snapshot();
  assertEquals(snapshot.pendingExchanges, 1);
  await Promise.all([client.close(), server.close()]);
  snapshot = metered.snapshot();
  assertEquals(snapshot.bytesSent, 10 + 12);
  assertEquals(snapshot.bytesReceived, 20);
  assertEquals([snapshot.messagesSent, snapshot.messagesReceived], [6, 5]);
  assertEquals([snapshot.exchange.count, snapshot.pendingExchanges], [5, 0]);
  assertEquals(snapshot.write.count, 6);
  assertEquals([snapshot.errors, snapshot.queuedBytes], [0, 0]);
  assert(snapshot.maxQueuedBytes > 0);
  assert(snapshot.exchange.p50 > 0 && snapshot.exchange.p50 < 60_000);
});

Deno.test("meter matches answers that come in another order by key", async () => {
  const [here, there] = duplexPair();
  const format = lines();
  const metered = meter(here, {
    format,
    exchanges: "received",
    exchangeKey: (payload) =>
      (JSON.parse(new TextDecoder().decode(payload)) as { id?: number }).id,
  });
  const server = channel<{ id: number }, { id?: number }>(metered, {
    format,
    codec: json as never,
  });
  const client = channel<unknown, unknown>(there, { format, codec: json });
  for (const id of [1, 2, 3]) await client.send({ id });
  for (let i = 0; i < 3; i++) await server.receive();
  for (const id of [3, 7, undefined, 1]) {
    await server.send({ id });
    await client.receive();
  }
  const { exchange, pendingExchanges, errors } = metered.snapshot();
  assertEquals([exchange.count, pendingExchanges, errors], [2, 1, 0]);
  await Promise.all([client.close(), server.close()]);
});

Deno.test("meter shows what waits for a peer that does not read", async () => {
  const metered = meter({
    readable: new ReadableStream(),
    writable: new WritableStream({ write: () => new Promise(() => {}) }),
  });
  const writer = metered.writable.getWriter();
  for (let i = 0; i < 3; i++) {
    writer.write(new Uint8Array(1000)).catch(() => {});
  }
  assertEquals(metered.snapshot().queuedBytes, 3000);
  writer.abort(new Error("enough")).catch(() => {});
  await writer.closed.catch(() => {});
  assertEquals(metered.snapshot().errors, 1);
});

Deno.test("meter counts malformed bytes and truncated frames as errors", async () => {
  const format = lengthPrefixed();
  const count = async (bytes: Uint8Array) => {
    const pipe = meter(new TransformStream<Uint8Array, Uint8Array>(), {
      format,
      maxFrameLength: 100,
    });
    const reading = new Response(pipe.readable as BodyInit).bytes();
    const writer = pipe.writable.getWriter();
    await writer.write(bytes);
    await writer.close();
    assertEquals(await reading, bytes);
    return pipe.snapshot();
  };
  const good = encodeFrame(format, utf8("good"));
  assertEquals((await count(good)).errors, 0);
  // Each direction sees the same.
  assertEquals((await count(concat([good, good.subarray(0, 5)]))).errors, 2);
  const bad = await count(concat([good, new Uint8Array(4).fill(255)]));
  assertEquals([bad.errors, bad.messagesSent], [2, 1]);
});

Deno.test("meter counts a large frame that comes in many chunks of a byte stream", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const format = lengthPrefixed();
  await using listener = await listenUnix({ path });
  const connection = meter(await connectUnix({ path }), { format });
  await using client = channel<Uint8Array, Uint8Array>(connection);
  await using server = channel<Uint8Array, Uint8Array>(await listener.accept());
  const large = crypto.getRandomValues(new Uint8Array(60_000));
  for (let i = 0; i < 20; i++) {
    await Promise.all([
      server.send(concat(new Array(20).fill(large))),
      client.receive().then((got) =>
        assertEquals(got.subarray(-60_000), large)
      ),
    ]);
  }
  assertEquals(connection.snapshot().messagesReceived, 20);
});

Deno.test("ConnectionMetrics adds up connections that come and go", async () => {
  using metrics = new ConnectionMetrics();
  assertEquals(metrics.exporting, false); // this process was not asked to
  for (let i = 0; i < 3; i++) {
    const pipe = meter(new TransformStream<Uint8Array, Uint8Array>(), {
      metrics,
    });
    assertEquals(metrics.snapshot().open, 1);
    const reading = new Response(pipe.readable as BodyInit).bytes();
    const writer = pipe.writable.getWriter();
    await writer.write(new Uint8Array(100));
    await writer.close();
    await reading;
  }
  const { open, bytesSent, bytesReceived, queuedBytes, write } = metrics
    .snapshot();
  assertEquals([open, bytesSent, bytesReceived, queuedBytes], [0, 300, 300, 0]);
  assertEquals(write.count, 3);
});

Deno.test("meter and ConnectionMetrics refuse what doesn't fit", () => {
  const [here] = duplexPair();
  assertThrows(
    () => meter(here, { exchanges: "both" as "sent" }),
    TypeError,
    "Invalid exchanges",
  );
  assertThrows(
    () => meter(here, { metrics: {} as ConnectionMetrics }),
    TypeError,
    "expected a ConnectionMetrics",
  );
  const meterProvider: OpenTelemetryMeterProvider = {
    getMeter() {
      throw new Error("no meter");
    },
  };
  assertThrows(
    () => new ConnectionMetrics({ meterProvider }),
    Error,
    "no meter",
  );
});

interface DataPoint {
  attributes: { key: string; value: { stringValue: string } }[];
  asInt?: string;
  asDouble?: number;
  count?: number | string;
  sum?: number;
  explicitBounds?: number[];
}

interface Metric {
  name: string;
  unit: string;
  sum?: { dataPoints: DataPoint[]; isMonotonic: boolean };
  histogram?: { dataPoints: DataPoint[] };
}

Deno.test("Deno exports the metrics of a child process to an OTLP collector", async () => {
  const received = new Map<string, Metric>();
  const all = Promise.withResolvers<void>();
  await using collector = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      if (new URL(request.url).pathname === "/v1/metrics") {
        const body = await request.json();
        for (const { scopeMetrics } of body.resourceMetrics) {
          for (const { scope, metrics } of scopeMetrics) {
            if (scope.name !== "@sluice/ipc") continue;
            for (const metric of metrics) received.set(metric.name, metric);
          }
        }
        if (
          received.size === 7 &&
          valueOf(received.get("sluice.connection.io")!, "transmit") > 0 &&
          countOf(received.get("sluice.connection.exchange.duration")) === 10
        ) all.resolve();
      } else await request.body?.cancel();
      return Response.json({});
    },
  );
  const script = fileURLToPath(
    new URL("peers/observe_metrics.ts", import.meta.url),
  );
  await using peer = startPeer(Deno.execPath(), ["run", "-A", script], {
    env: {
      OTEL_DENO: "true",
      OTEL_DENO_CONSOLE: "ignore",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      OTEL_METRIC_EXPORT_INTERVAL: "100",
    },
  });
  const counted = JSON.parse(await peer.line());
  assertEquals(counted.exporting, true);
  await all.promise;

  const io = received.get("sluice.connection.io")!;
  assertEquals([io.unit, io.sum!.isMonotonic], ["By", true]);
  assertEquals(valueOf(io, "transmit"), counted.bytesSent);
  assertEquals(valueOf(io, "receive"), counted.bytesReceived);
  const messages = received.get("sluice.connection.messages")!;
  assertEquals(valueOf(messages, "transmit"), 10);
  assertEquals(valueOf(messages, "receive"), 10);
  assertEquals(valueOf(received.get("sluice.connection.open")!), 1);
  assertEquals(valueOf(received.get("sluice.connection.queue")!), 0);
  assertEquals(valueOf(received.get("sluice.connection.errors")!), 0);
  const exchange = received.get("sluice.connection.exchange.duration")!;
  const [point] = exchange.histogram!.dataPoints;
  assertEquals(exchange.unit, "s");
  assertEquals(Number(point.count), 10);
  assert(
    Math.abs(point.sum! - 10 * counted.exchange.mean / 1000) < 1e-6,
    `${point.sum} s for ${counted.exchange.mean} ms`,
  );
  assertEquals(point.explicitBounds!.at(-1), 10);
  assertEquals(countOf(received.get("sluice.connection.write.duration")), 10);
});

function valueOf(metric: Metric, direction?: string): number {
  const point = metric.sum!.dataPoints.find(({ attributes }) => {
    const all = Object.fromEntries(
      attributes.map(({ key, value }) => [key, value.stringValue]),
    );
    assertEquals(all.server, "echo");
    return all["network.io.direction"] === direction;
  });
  return Number(point?.asInt ?? point?.asDouble);
}

function countOf(metric: Metric | undefined): number {
  return Number(metric?.histogram?.dataPoints[0]?.count);
}
