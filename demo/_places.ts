// Where the worker of each transport is to be found.

import { fileURLToPath } from "node:url";
import type { ConnectOptions, ListenOptions } from "../mod.ts";
import { hasNats, startNats } from "../tests/_nats.ts";

/** An address for the worker, and what each side needs beside it. */
export interface Place {
  /** What the worker listens on, or what starts it where it can't listen. */
  address: string;
  listen: ListenOptions;
  connect: ConnectOptions;
  /** Ends what was started for it. */
  close?(): Promise<void>;
}

/** The command of the worker, as an address that starts it. */
export const WORKER = fileURLToPath(new URL("worker.ts", import.meta.url));

/**
 * The place for `scheme`: a path in `directory`, unless it needs another form.
 * A string says why there is none here; `undefined`, that it is another's end.
 */
export async function placeOf(
  scheme: string,
  directory: string,
): Promise<Place | string | undefined> {
  const plain = { listen: {}, connect: {} };
  switch (scheme) {
    case "stdio": // the worker's end of exec:
      return undefined;
    case "exec":
      return {
        address: `exec:"${Deno.execPath()}" run -A "${WORKER}" stdio:`,
        ...plain,
      };
    case "tcp":
      return { address: "tcp:127.0.0.1:0", ...plain };
    case "tls":
      return await tlsPlace(directory);
    case "nats":
      return await natsPlace();
    default:
      return { address: `${scheme}:${directory}/worker.${scheme}`, ...plain };
  }
}

/** TLS needs a certificate, which openssl makes for this run. */
async function tlsPlace(directory: string): Promise<Place | string> {
  const key = `${directory}/key.pem`;
  const cert = `${directory}/cert.pem`;
  try {
    const { success } = await new Deno.Command("openssl", {
      // deno-fmt-ignore
      args: [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "1", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-addext", "basicConstraints=critical,CA:FALSE",
        "-keyout", key, "-out", cert,
      ],
      stdout: "null",
      stderr: "null",
    }).output();
    if (!success) return "openssl could not make a certificate";
  } catch {
    return "openssl, which makes its certificate, is not there";
  }
  const pem = await Deno.readTextFile(cert);
  return {
    address: "tls:127.0.0.1:0",
    listen: { tls: { cert: pem, key: await Deno.readTextFile(key) } },
    connect: { tls: { caCerts: [pem] } },
  };
}

/** NATS needs its server, which is started for this run. */
async function natsPlace(): Promise<Place | string> {
  if (!hasNats) return "nats-server is not there";
  const server = await startNats();
  return {
    address: `nats:${server.address}/demo`,
    listen: {},
    connect: {},
    close: server.kill,
  };
}
