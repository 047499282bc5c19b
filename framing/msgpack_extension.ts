/**
 * A MessagePack extension value of an application's own type. The
 * {@linkcode msgpack} codec sends it as it is, and gives one for each type from
 * a peer that it doesn't know.
 *
 * @example An extension value through the codec
 * ```ts
 * import { msgpack, MsgpackExtension } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const point = new MsgpackExtension(5, new Uint8Array([1, 2]));
 * assertEquals(msgpack.decode(msgpack.encode(point)), point);
 * ```
 */
export class MsgpackExtension {
  /** The type, from -128 to 127. Negative ones are reserved by the format. */
  readonly type: number;
  /** The value's bytes. */
  readonly data: Uint8Array;

  /**
   * Creates the value.
   *
   * @param type The type, from -128 to 127.
   * @param data The value's bytes.
   */
  constructor(type: number, data: Uint8Array) {
    this.type = type;
    this.data = data;
  }
}
