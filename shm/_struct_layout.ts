// Where C puts the members of a struct on 64-bit Linux and macOS (System V and
// AAPCS64): each at a multiple of its alignment, which is its element's size.

/** Bytes of each scalar, which are its alignment too. */
export const SCALAR_SIZE = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
  f32: 4,
  f64: 8,
  bool: 1,
  atomic_u32: 4,
  atomic_i32: 4,
  atomic_u64: 8,
  atomic_i64: 8,
} as const;

/** The names of scalars. */
export type ScalarName = keyof typeof SCALAR_SIZE;

/** What another struct must tell to be a member. */
export interface Nested {
  readonly size: number;
  readonly alignment: number;
  readonly fields: readonly Field[];
}

/** What a member holds. */
export type FieldKind =
  | { kind: "scalar"; scalar: ScalarName }
  | { kind: "text"; length: number }
  | { kind: "array"; scalar: ScalarName; length: number }
  | { kind: "struct"; struct: Nested }
  | { kind: "structs"; struct: Nested; length: number };

/** One member and its place. */
export type Field = FieldKind & { name: string; offset: number; size: number };

const MAX_SIZE = 2 ** 30;

/** Lays out a schema, or throws where it is none. */
export function layOut(schema: Record<string, unknown>): Nested {
  const fields: Field[] = [];
  let end = 0;
  let alignment = 1;
  for (const [name, type] of Object.entries(schema)) {
    const { kind, size, align } = parse(name, type);
    const offset = Math.ceil(end / align) * align;
    fields.push({ ...kind, name, offset, size });
    end = offset + size;
    alignment = Math.max(alignment, align);
    if (end > MAX_SIZE) {
      throw new RangeError(
        `Invalid struct: ${end} bytes up to ${name} exceed ${MAX_SIZE}`,
      );
    }
  }
  if (fields.length === 0) {
    throw new TypeError("Invalid struct: it has no members");
  }
  return { size: Math.ceil(end / alignment) * alignment, alignment, fields };
}

function parse(
  name: string,
  type: unknown,
): { kind: FieldKind; size: number; align: number } {
  if (!/^[A-Za-z_$][\w$]*$/.test(name) || name === "__proto__") {
    throw new TypeError(
      `Invalid struct: member ${JSON.stringify(name)} is no identifier`,
    );
  }
  if (isScalar(type)) {
    const size = SCALAR_SIZE[type];
    return { kind: { kind: "scalar", scalar: type }, size, align: size };
  }
  const text = typeof type === "string"
    ? /^char\[(\d{1,9})\]$/.exec(type)
    : null;
  if (text !== null) {
    const length = checkLength(name, Number(text[1]));
    return { kind: { kind: "text", length }, size: length, align: 1 };
  }
  if (isNested(type)) {
    return {
      kind: { kind: "struct", struct: type },
      size: type.size,
      align: type.alignment,
    };
  }
  if (Array.isArray(type) && type.length === 2) {
    const [element, count] = type;
    const length = checkLength(name, count);
    if (isNested(element)) {
      return {
        kind: { kind: "structs", struct: element, length },
        size: element.size * length,
        align: element.alignment,
      };
    }
    if (isScalar(element) && !element.startsWith("atomic")) {
      const size = SCALAR_SIZE[element];
      return {
        kind: { kind: "array", scalar: element, length },
        size: size * length,
        align: size,
      };
    }
  }
  throw new TypeError(
    `Invalid struct: member ${name} has the unknown type ${
      Array.isArray(type) ? `[${type.map(String)}]` : String(type)
    }`,
  );
}

function isScalar(type: unknown): type is ScalarName {
  return typeof type === "string" && Object.hasOwn(SCALAR_SIZE, type);
}

function isNested(type: unknown): type is Nested {
  return typeof type === "object" && type !== null && "alignment" in type &&
    "fields" in type;
}

function checkLength(name: string, length: unknown): number {
  if (!Number.isInteger(length) || (length as number) < 1) {
    throw new RangeError(
      `Invalid struct: expected at least 1 element in ${name}, ` +
        `received ${String(length)}`,
    );
  }
  return length as number;
}
