import { readFileSync } from 'node:fs';

/** What an ELF file says of how it was linked, as far as hardening shows there. */
export interface Elf {
  /** Whether the linker asked for read-only relocations (PT_GNU_RELRO). */
  readonly relro: boolean;
  /**
   * Whether every symbol is bound when it is loaded; with {@link relro} nothing is left that could be
   * overwritten.
   */
  readonly bindNow: boolean;
  readonly executableStack: boolean;
  /** Names in the table of dynamic symbols, those of libraries among them. */
  readonly names: readonly string[];
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_GNU_STACK = 0x6474e551;
const PT_GNU_RELRO = 0x6474e552;
const PF_X = 1;
const DT_STRTAB = 5n;
const DT_STRSZ = 10n;
const DT_FLAGS = 30n;
const DF_BIND_NOW = 8n;
const DT_FLAGS_1 = 0x6ffffffbn;
const DF_1_NOW = 1n;

/** Reads a 64-bit little-endian ELF file: not every machine has readelf. */
export function readElf(path: string): Elf {
  const file = readFileSync(path);
  if (file.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') throw new Error(`${path} is not such a file`);
  const start = Number(file.readBigUInt64LE(32));
  const size = file.readUInt16LE(54);
  const count = file.readUInt16LE(56);
  const segments = Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    return {
      type: file.readUInt32LE(at),
      flags: file.readUInt32LE(at + 4),
      offset: file.readBigUInt64LE(at + 8),
      address: file.readBigUInt64LE(at + 16),
      bytes: file.readBigUInt64LE(at + 32),
    };
  });
  const dynamic = new Map<bigint, bigint>();
  for (const { type, offset, bytes } of segments) {
    if (type !== PT_DYNAMIC) continue;
    for (let at = Number(offset); at < Number(offset + bytes); at += 16)
      dynamic.set(file.readBigUInt64LE(at), file.readBigUInt64LE(at + 8));
  }
  const table = dynamic.get(DT_STRTAB) ?? 0n;
  const holder = segments.find(
    ({ type, address, bytes }) => type === PT_LOAD && address <= table && table < address + bytes,
  );
  if (holder === undefined) throw new Error(`${path} has no dynamic symbols`);
  const names = Number(table - holder.address + holder.offset);
  return {
    relro: segments.some(({ type }) => type === PT_GNU_RELRO),
    bindNow:
      ((dynamic.get(DT_FLAGS) ?? 0n) & DF_BIND_NOW) !== 0n ||
      ((dynamic.get(DT_FLAGS_1) ?? 0n) & DF_1_NOW) !== 0n,
    executableStack: !segments.some(({ type, flags }) => type === PT_GNU_STACK && (flags & PF_X) === 0),
    names: file.toString('latin1', names, names + Number(dynamic.get(DT_STRSZ) ?? 0n)).split('\0'),
  };
}
