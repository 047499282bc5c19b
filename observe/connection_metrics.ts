import { TOTALS } from "./_metrics_totals.ts";
import { Totals } from "./_totals.ts";
import type { MeterSnapshot } from "./meter_snapshot.ts";

/**
 * What this package needs of OpenTelemetry's `MeterProvider`. That of
 * `npm:@opentelemetry/api` fits, and so does Deno's own.
 */
export interface OpenTelemetryMeterProvider {
  /** Makes a meter. */
  getMeter(name: string, version?: string): OpenTelemetryMeter;
}

/** What this package needs of OpenTelemetry's `Meter`. */
export interface OpenTelemetryMeter {
  /** A counter that is read when metrics are collected. */
  createObservableCounter(
    name: string,
    options?: OpenTelemetryInstrumentOptions,
  ): object;
  /** A value that goes up and down, read when metrics are collected. */
  createObservableUpDownCounter(
    name: string,
    options?: OpenTelemetryInstrumentOptions,
  ): object;
  /** Takes values as they come. */
  createHistogram(
    name: string,
    options?: OpenTelemetryInstrumentOptions,
  ): OpenTelemetryHistogram;
  /** Registers what is called when metrics are collected. */
  addBatchObservableCallback(
    // deno-lint-ignore no-explicit-any
    callback: (result: any) => void,
    // deno-lint-ignore no-explicit-any
    observables: any[],
  ): void;
  /** Takes such a callback back. */
  removeBatchObservableCallback(
    // deno-lint-ignore no-explicit-any
    callback: (result: any) => void,
    // deno-lint-ignore no-explicit-any
    observables: any[],
  ): void;
}

/** What this package needs of OpenTelemetry's `Histogram`. */
export interface OpenTelemetryHistogram {
  /** Records a value. */
  record(value: number, attributes?: Record<string, string>): void;
}

/** How an instrument is described. */
export interface OpenTelemetryInstrumentOptions {
  /** What it measures. */
  description?: string;
  /** A UCUM unit. */
  unit?: string;
  /** Hints for the exporter. */
  advice?: { explicitBucketBoundaries?: number[] };
}

/** Options of {@linkcode ConnectionMetrics}. */
export interface ConnectionMetricsOptions {
  /**
   * What tells this group of connections from others, on every value. Keep it to
   * what has few values: no address of a client.
   *
   * @default {{}}
   */
  attributes?: Record<string, string>;
  /**
   * Where instruments are made.
   *
   * @default {Deno.telemetry.meterProvider}
   */
  meterProvider?: OpenTelemetryMeterProvider;
}

/** From 10 microseconds to 10 seconds. */
const BOUNDARIES = [1, 2.5, 5].flatMap((step) =>
  [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1].map((power) => step * power)
).concat(10).sort((a, b) => a - b);

/**
 * Counters of any number of connections together, exported as OpenTelemetry
 * metrics: give it to `meter` as `metrics`.
 *
 * Deno exports by itself where the process was started with `OTEL_DENO=true`,
 * to `OTEL_EXPORTER_OTLP_ENDPOINT`. Without that, this only counts, and
 * {@linkcode ConnectionMetrics.exporting} is `false`. With another SDK, pass its
 * `meterProvider`.
 *
 * | instrument | kind | unit |
 * | --- | --- | --- |
 * | `sluice.connection.io` | counter, by `network.io.direction` | `By` |
 * | `sluice.connection.messages` | counter, by `network.io.direction` | `{message}` |
 * | `sluice.connection.errors` | counter | `{error}` |
 * | `sluice.connection.open` | up-down counter | `{connection}` |
 * | `sluice.connection.queue` | up-down counter | `By` |
 * | `sluice.connection.write.duration` | histogram | `s` |
 * | `sluice.connection.exchange.duration` | histogram | `s` |
 *
 * `network.io.direction` is `transmit` or `receive`, as in OpenTelemetry's
 * semantic conventions. Counters are read when metrics are collected, so they
 * cost a connection nothing more; each time that is recorded costs one call.
 *
 * @example Connections of a server
 * ```ts
 * import { connectUnix, listenUnix } from "@sluice/ipc/socket";
 * import { ConnectionMetrics, meter } from "@sluice/ipc/observe";
 * import { assertEquals } from "@std/assert";
 *
 * using metrics = new ConnectionMetrics({ attributes: { server: "jobs" } });
 * const path = `${await Deno.makeTempDir()}/a.sock`;
 * await using listener = await listenUnix({ path });
 * await using _client = await connectUnix({ path });
 * await using _connection = meter(await listener.accept(), { metrics });
 * assertEquals(metrics.snapshot().open, 1);
 * ```
 */
export class ConnectionMetrics implements Disposable {
  /** Whether there is an OpenTelemetry SDK that takes the metrics. */
  readonly exporting: boolean;
  #totals = new Totals();
  #stop: (() => void) | undefined;

  /**
   * Creates the group and its instruments.
   *
   * @param options Attributes, and the provider of instruments.
   * @throws What the given `meterProvider` throws.
   */
  constructor(options: ConnectionMetricsOptions = {}) {
    TOTALS.set(this, this.#totals);
    const meter = getMeter(options.meterProvider);
    this.exporting = meter !== undefined;
    if (meter !== undefined) {
      this.#stop = register(meter, this.#totals, options.attributes ?? {});
    }
  }

  /** What passed through all connections so far, and how many are open. */
  snapshot(): Omit<MeterSnapshot, "pendingExchanges"> & { open: number } {
    const { onTime: _onTime, write, exchange, ...counters } = this.#totals;
    return {
      ...counters,
      write: write.summary(),
      exchange: exchange.summary(),
    };
  }

  /** Stops exporting. Counting goes on. */
  [Symbol.dispose](): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}

function getMeter(
  provider: OpenTelemetryMeterProvider | undefined,
): OpenTelemetryMeter | undefined {
  if (provider !== undefined) return provider.getMeter("@sluice/ipc");
  try {
    return Deno.telemetry.meterProvider.getMeter("@sluice/ipc");
  } catch { // "otel not initialized": the process was not asked to export
    return undefined;
  }
}

function register(
  meter: OpenTelemetryMeter,
  totals: Totals,
  attributes: Record<string, string>,
): () => void {
  const named = (what: string, unit: string, description: string) =>
    [`sluice.connection.${what}`, { unit, description }] as const;
  const io = meter.createObservableCounter(
    ...named("io", "By", "Bytes that passed"),
  );
  const messages = meter.createObservableCounter(
    ...named("messages", "{message}", "Messages that passed"),
  );
  const errors = meter.createObservableCounter(
    ...named("errors", "{error}", "Directions that broke and malformed bytes"),
  );
  const open = meter.createObservableUpDownCounter(
    ...named("open", "{connection}", "Connections that are open"),
  );
  const queue = meter.createObservableUpDownCounter(
    ...named("queue", "By", "Bytes that wait to be sent"),
  );
  const duration = (what: string, description: string) =>
    meter.createHistogram(`sluice.connection.${what}.duration`, {
      unit: "s",
      description,
      advice: { explicitBucketBoundaries: BOUNDARIES },
    });
  const histograms = {
    write: duration("write", "From queued until the transport had it"),
    exchange: duration("exchange", "From a message until its answer"),
  };
  totals.onTime = (what, time) =>
    histograms[what].record(time / 1000, attributes);

  const sent = { ...attributes, "network.io.direction": "transmit" };
  const received = { ...attributes, "network.io.direction": "receive" };
  const collect = (
    result: {
      observe(
        instrument: object,
        value: number,
        attributes: Record<string, string>,
      ): void;
    },
  ) => {
    result.observe(io, totals.bytesSent, sent);
    result.observe(io, totals.bytesReceived, received);
    result.observe(messages, totals.messagesSent, sent);
    result.observe(messages, totals.messagesReceived, received);
    result.observe(errors, totals.errors, attributes);
    result.observe(open, totals.open, attributes);
    result.observe(queue, totals.queuedBytes, attributes);
  };
  const instruments = [io, messages, errors, open, queue];
  meter.addBatchObservableCallback(collect, instruments);
  return () => {
    meter.removeBatchObservableCallback(collect, instruments);
    totals.onTime = undefined;
  };
}
