// Members as JavaScript values: live in memory, or copied in and out.

import type { Field, Nested, ScalarName } from "./_struct_layout.ts";
import { SCALAR_SIZE } from "./_struct_layout.ts";
import { AtomicNumber } from "./atomic.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

type Values = Record<string, unknown>;

/** Typed arrays by scalar; `bool` shows as bytes. */
const ARRAYS = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  u64: BigUint64Array,
  i64: BigInt64Array,
  f32: Float32Array,
  f64: Float64Array,
  bool: Uint8Array,
  atomic_u32: Uint32Array,
  atomic_i32: Int32Array,
  atomic_u64: BigUint64Array,
  atomic_i64: BigInt64Array,
} as const;

function arrayOf(view: DataView, scalar: ScalarName, at: number, n: number) {
  return new ARRAYS[scalar](
    view.buffer as ArrayBuffer,
    view.byteOffset + at,
    n,
  );
}

/** Reads one scalar. */
function getScalar(view: DataView, scalar: ScalarName, at: number): unknown {
  switch (scalar) {
    case "u8":
      return view.getUint8(at);
    case "i8":
      return view.getInt8(at);
    case "u16":
      return view.getUint16(at, true);
    case "i16":
      return view.getInt16(at, true);
    case "u32":
    case "atomic_u32":
      return view.getUint32(at, true);
    case "i32":
    case "atomic_i32":
      return view.getInt32(at, true);
    case "u64":
    case "atomic_u64":
      return view.getBigUint64(at, true);
    case "i64":
    case "atomic_i64":
      return view.getBigInt64(at, true);
    case "f32":
      return view.getFloat32(at, true);
    case "f64":
      return view.getFloat64(at, true);
    case "bool":
      return view.getUint8(at) !== 0;
  }
}

const LIMITS: Partial<Record<ScalarName, readonly [number, number]>> = {
  u8: [0, 0xff],
  i8: [-0x80, 0x7f],
  u16: [0, 0xffff],
  i16: [-0x8000, 0x7fff],
  u32: [0, 0xffff_ffff],
  i32: [-0x8000_0000, 0x7fff_ffff],
  atomic_u32: [0, 0xffff_ffff],
  atomic_i32: [-0x8000_0000, 0x7fff_ffff],
};

/** Checks and writes one scalar: a value that doesn't fit must not wrap. */
function setScalar(
  view: DataView,
  { name }: Field,
  scalar: ScalarName,
  at: number,
  value: unknown,
): void {
  const limits = LIMITS[scalar];
  if (limits !== undefined) {
    const [min, max] = limits;
    if (
      !Number.isInteger(value) || !(value as number >= min) ||
      !(value as number <= max)
    ) {
      throw new RangeError(
        `Cannot set ${name}: expected a ${scalar} from ${min} to ${max}, ` +
          `received ${String(value)}`,
      );
    }
    const number = value as number;
    if (SCALAR_SIZE[scalar] === 1) view.setUint8(at, number);
    else if (SCALAR_SIZE[scalar] === 2) view.setUint16(at, number, true);
    else view.setUint32(at, number, true);
    return;
  }
  if (scalar === "bool") {
    if (typeof value !== "boolean") throw wrongType(name, "a boolean", value);
    return view.setUint8(at, value ? 1 : 0);
  }
  if (scalar === "f32" || scalar === "f64") {
    if (typeof value !== "number") throw wrongType(name, "a number", value);
    return scalar === "f32"
      ? view.setFloat32(at, value, true)
      : view.setFloat64(at, value, true);
  }
  if (typeof value !== "bigint") throw wrongType(name, "a bigint", value);
  const fits = scalar.endsWith("u64")
    ? BigInt.asUintN(64, value) === value
    : BigInt.asIntN(64, value) === value;
  if (!fits) {
    throw new RangeError(
      `Cannot set ${name}: expected a ${scalar}, received ${value}`,
    );
  }
  view.setBigInt64(at, value, true);
}

function wrongType(name: string, wanted: string, value: unknown): TypeError {
  return new TypeError(
    `Cannot set ${name}: expected ${wanted}, received ${typeof value}`,
  );
}

function getText(view: DataView, at: number, length: number): string {
  const bytes = arrayOf(view, "u8", at, length) as Uint8Array;
  const end = bytes.indexOf(0);
  // A hostile writer may leave out the NUL: the member's end bounds it.
  return decoder.decode(bytes.slice(0, end < 0 ? length : end));
}

function setText(
  view: DataView,
  name: string,
  at: number,
  length: number,
  value: unknown,
): void {
  if (typeof value !== "string") throw wrongType(name, "a string", value);
  const bytes = encoder.encode(value);
  if (bytes.length >= length || value.includes("\0")) {
    throw new RangeError(
      `Cannot set ${name}: expected at most ${length - 1} bytes without NUL, ` +
        `received ${bytes.length}`,
    );
  }
  const target = arrayOf(view, "u8", at, length) as Uint8Array;
  target.set(bytes);
  target.fill(0, bytes.length);
}

function setArray(
  view: DataView,
  field: Field & { kind: "array" },
  at: number,
  value: unknown,
): void {
  const list = value as ArrayLike<unknown>;
  if (
    typeof value !== "object" || value === null || list.length !== field.length
  ) {
    throw new RangeError(
      `Cannot set ${field.name}: expected ${field.length} elements, received ` +
        `${(value as ArrayLike<unknown> | null)?.length}`,
    );
  }
  const step = SCALAR_SIZE[field.scalar];
  for (let i = 0; i < field.length; i++) {
    setScalar(view, field, field.scalar, at + i * step, list[i]);
  }
}

/** Copies a struct out of memory as plain values. */
export function decodeStruct(view: DataView, at: number, type: Nested): Values {
  const values: Values = {};
  for (const field of type.fields) {
    values[field.name] = decodeField(view, at + field.offset, field);
  }
  return values;
}

function decodeField(view: DataView, at: number, field: Field): unknown {
  switch (field.kind) {
    case "scalar":
      return getScalar(view, field.scalar, at);
    case "text":
      return getText(view, at, field.length);
    case "array":
      return arrayOf(view, field.scalar, at, field.length).slice();
    case "struct":
      return decodeStruct(view, at, field.struct);
    case "structs":
      return Array.from(
        { length: field.length },
        (_, i) => decodeStruct(view, at + i * field.struct.size, field.struct),
      );
  }
}

/** Copies the members that `values` has into memory. */
export function encodeStruct(
  view: DataView,
  at: number,
  type: Nested,
  values: Values,
): void {
  for (const field of type.fields) {
    if (!Object.hasOwn(values, field.name)) continue;
    encodeField(view, at + field.offset, field, values[field.name]);
  }
}

function encodeField(
  view: DataView,
  at: number,
  field: Field,
  value: unknown,
): void {
  switch (field.kind) {
    case "scalar":
      return setScalar(view, field, field.scalar, at, value);
    case "text":
      return setText(view, field.name, at, field.length, value);
    case "array":
      return setArray(view, field, at, value);
    case "struct":
      return encodeStruct(view, at, field.struct, value as Values);
    case "structs": {
      const list = value as Values[];
      if (!Array.isArray(value) || list.length !== field.length) {
        throw new RangeError(
          `Cannot set ${field.name}: expected ${field.length} elements, ` +
            `received ${list?.length}`,
        );
      }
      list.forEach((item, i) =>
        encodeStruct(view, at + i * field.struct.size, field.struct, item)
      );
    }
  }
}

/** An object whose properties are the memory itself. */
export function liveStruct(view: DataView, at: number, type: Nested): object {
  const live = Object.create(null);
  for (const field of type.fields) {
    Object.defineProperty(live, field.name, {
      enumerable: true,
      ...liveField(view, at + field.offset, field),
    });
  }
  return Object.preventExtensions(live);
}

function liveField(
  view: DataView,
  at: number,
  field: Field,
): PropertyDescriptor {
  const set = (value: unknown) => encodeField(view, at, field, value);
  switch (field.kind) {
    case "scalar":
      return field.scalar.startsWith("atomic")
        ? { value: new AtomicNumber(arrayOf(view, field.scalar, at, 1)) }
        : { get: () => getScalar(view, field.scalar, at), set };
    case "text":
      return { get: () => getText(view, at, field.length), set };
    case "array": {
      const array = arrayOf(view, field.scalar, at, field.length);
      return { get: () => array, set };
    }
    case "struct": {
      const inner = liveStruct(view, at, field.struct);
      return { get: () => inner, set };
    }
    case "structs": {
      const inner = Object.freeze(Array.from(
        { length: field.length },
        (_, i) => liveStruct(view, at + i * field.struct.size, field.struct),
      ));
      return { get: () => inner, set };
    }
  }
}
