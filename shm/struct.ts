import type { SharedMemory } from "./shared_memory.ts";
import type { AtomicNumber } from "./atomic.ts";
import type { PlaceOptions } from "./ring.ts";
import type { Nested } from "./_struct_layout.ts";
import { layOut } from "./_struct_layout.ts";
import { decodeStruct, encodeStruct, liveStruct } from "./_struct_codec.ts";
import { locate } from "./_ring_layout.ts";

/** Numbers of at most 32 bits, and floating point. */
export type StructNumberType =
  | "u8"
  | "i8"
  | "u16"
  | "i16"
  | "u32"
  | "i32"
  | "f32"
  | "f64";

/** Scalars: C's fixed-width types, `float`, `double`, `bool` and `_Atomic`. */
export type StructScalarType =
  | StructNumberType
  | "u64"
  | "i64"
  | "bool"
  | "atomic_u32"
  | "atomic_i32"
  | "atomic_u64"
  | "atomic_i64";

/**
 * What a member can be: a scalar, `"char[n]"` (text, its NUL included),
 * `[scalar, n]`, another struct, or `[struct, n]`.
 */
export type StructMemberType =
  | StructScalarType
  | `char[${number}]`
  | readonly [
    Exclude<StructScalarType, `atomic_${string}`>,
    number,
  ]
  // deno-lint-ignore no-explicit-any
  | StructType<any>
  // deno-lint-ignore no-explicit-any
  | readonly [StructType<any>, number];

/** The members by name, in the order of the C struct. */
export type StructSchema = { readonly [name: string]: StructMemberType };

/** The typed array of a scalar. */
export type StructArray<T> = T extends "u8" | "bool" ? Uint8Array
  : T extends "i8" ? Int8Array
  : T extends "u16" ? Uint16Array
  : T extends "i16" ? Int16Array
  : T extends "u32" ? Uint32Array
  : T extends "i32" ? Int32Array
  : T extends "u64" ? BigUint64Array
  : T extends "i64" ? BigInt64Array
  : T extends "f32" ? Float32Array
  : Float64Array;

/** The JavaScript value of a scalar. */
export type StructScalar<T> = T extends
  "u64" | "i64" | "atomic_u64" | "atomic_i64" ? bigint
  : T extends "bool" ? boolean
  : number;

/** The value of a member, copied out. */
export type StructMemberValue<T> = T extends StructScalarType ? StructScalar<T>
  : T extends `char[${number}]` ? string
  : T extends StructType<infer S> ? StructValues<S>
  : T extends readonly [StructType<infer S>, number] ? StructValues<S>[]
  : T extends readonly [infer E, number] ? StructArray<E>
  : never;

/** The values of a struct, copied out. */
export type StructValues<S> = {
  -readonly [K in keyof S]: StructMemberValue<S[K]>;
};

/** What a member can be set to: arrays also from plain arrays. */
export type StructMemberInput<T> = T extends StructScalarType ? StructScalar<T>
  : T extends `char[${number}]` ? string
  : T extends StructType<infer S> ? StructInput<S>
  : T extends readonly [StructType<infer S>, number] ? StructInput<S>[]
  : T extends readonly [infer E, number] ? ArrayLike<StructScalar<E>>
  : never;

/** Values to write; members that are left out stay as they are. */
export type StructInput<S> = { [K in keyof S]?: StructMemberInput<S[K]> };

/** A member that lives in shared memory. */
export type StructMemberView<T> = T extends "atomic_u32" | "atomic_i32"
  ? AtomicNumber<number>
  : T extends "atomic_u64" | "atomic_i64" ? AtomicNumber<bigint>
  : T extends StructType<infer S> ? StructView<S>
  : T extends readonly [StructType<infer S>, number] ? readonly StructView<S>[]
  : StructMemberValue<T>;

/** A struct that lives in shared memory: reading and setting go there. */
export type StructView<S> = {
  -readonly [K in keyof S]: StructMemberView<S[K]>;
};

/**
 * A struct with C's layout, made by {@linkcode struct}.
 *
 * @typeParam S Its schema.
 */
export class StructType<S> {
  /** C's `sizeof`. */
  readonly size: number;
  /** C's `_Alignof`. */
  readonly alignment: number;
  /** Its members and their places. */
  readonly fields: readonly Readonly<
    { name: string; offset: number; size: number }
  >[];
  #layout: Nested;
  /** Only there for the type: a schema is told apart by it. */
  declare readonly schema: S;

  /** @ignore Made by {@linkcode struct}. */
  constructor(schema: S) {
    this.#layout = layOut(schema as Record<string, unknown>);
    this.size = this.#layout.size;
    this.alignment = this.#layout.alignment;
    this.fields = this.#layout.fields;
  }

  /**
   * C's `offsetof`.
   *
   * @throws {TypeError} If there is no such member.
   */
  offsetOf(name: keyof S & string): number {
    const field = this.fields.find((field) => field.name === name);
    if (field === undefined) {
      throw new TypeError(`Cannot find member ${name} of the struct`);
    }
    return field.offset;
  }

  /**
   * An object whose properties are the memory itself. Plain members are read
   * and written one by one, so that another process may see some of several
   * changes: use `atomic_` members, a {@linkcode SeqLock} or a
   * {@linkcode SharedMutex} where that matters. After the memory is closed, its
   * use throws a `TypeError`; arrays are empty.
   *
   * @param memory Where it lies.
   * @param options The offset, a multiple of 8.
   * @throws {RangeError} If it does not fit.
   */
  view(memory: SharedMemory, options: PlaceOptions = {}): StructView<S> {
    const what = "Cannot view struct";
    const start = locate(memory, options.offset ?? 0, this.size, what);
    const view = new DataView(memory.buffer, start, this.size);
    return liveStruct(view, 0, this.#layout) as StructView<S>;
  }

  /** The values in `bytes`, which holds one struct from its start. */
  decode(bytes: Uint8Array): StructValues<S> {
    this.#checkRoom(bytes);
    // Arrays need their alignment, which a slice has.
    const copy = bytes.slice(0, this.size);
    const view = new DataView(copy.buffer, copy.byteOffset, this.size);
    return decodeStruct(view, 0, this.#layout) as StructValues<S>;
  }

  /**
   * Writes values into bytes.
   *
   * @param values The members to write.
   * @param into Where to; a new zeroed array by default.
   * @throws {RangeError} If a value does not fit its member.
   */
  encode(
    values: StructInput<S>,
    into: Uint8Array<ArrayBuffer> = new Uint8Array(this.size),
  ): Uint8Array<ArrayBuffer> {
    this.#checkRoom(into);
    const view = new DataView(into.buffer, into.byteOffset, this.size);
    encodeStruct(view, 0, this.#layout, values as Record<string, unknown>);
    return into;
  }

  #checkRoom(bytes: Uint8Array): void {
    if (bytes.length >= this.size) return;
    throw new RangeError(
      `Cannot use struct: it needs ${this.size} bytes, ` +
        `received ${bytes.length}`,
    );
  }
}

/**
 * Defines a struct with the layout that a C compiler on 64-bit Linux or macOS
 * gives it (little-endian), so that C, Rust (`repr(C)`) and Python (`ctypes`)
 * see the same.
 *
 * @typeParam S The schema, inferred.
 * @param schema The members by name, in order.
 * @returns The struct, ready to view, encode and decode.
 * @throws {TypeError} If a type or a name is none.
 * @throws {RangeError} If an array is empty, or the struct over 1 GiB.
 *
 * @example A struct that two processes share
 * ```ts
 * import { SharedMemory, struct } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * const Sensor = struct({
 *   counter: "u64",
 *   values: ["i32", 10],
 *   ready: "bool",
 *   name: "char[32]",
 * });
 * using memory = SharedMemory.anonymous({ size: Sensor.size });
 * const sensor = Sensor.view(memory);
 * sensor.counter = 7n;
 * sensor.values[3] = -1;
 * sensor.name = "thermometer";
 * assertEquals(Sensor.offsetOf("values"), 8);
 * assertEquals(Sensor.decode(memory.bytes).name, "thermometer");
 * ```
 */
export function struct<const S extends StructSchema>(
  schema: S,
): StructType<S> {
  return new StructType(schema);
}
