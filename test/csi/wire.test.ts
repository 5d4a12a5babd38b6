import { loadPackageDefinition, type MethodDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as csi from '../../src/csi/gen/csi/v1/csi.js';
import * as registration from '../../src/csi/gen/pluginregistration.js';

const ROOT = resolve(import.meta.dirname, '../..');
const RECORDED = join(import.meta.dirname, 'wire/recorded');

/** Written by `npm run golden` from the official Go packages of CSI 1.13.0 and of the kubelet 1.37.2. */
const OFFICIAL_NAMES = new Set(readFileSync(join(RECORDED, 'names.txt'), 'utf8').trimEnd().split('\n'));

/** What CSI 1.12 had and 1.13 removed: our line, and the line by which the official text reserves its number. */
const REMOVED = new Map<string, string | undefined>([
  ['message csi.v1.VolumeCondition', undefined],
  ['field csi.v1.VolumeCondition.abnormal = 1 bool', undefined],
  ['field csi.v1.VolumeCondition.message = 2 string', undefined],
  [
    'field csi.v1.NodeGetVolumeStatsResponse.volume_condition = 2 csi.v1.VolumeCondition',
    'reserved csi.v1.NodeGetVolumeStatsResponse = 2',
  ],
  [
    'value csi.v1.NodeServiceCapability.RPC.Type VOLUME_CONDITION = 4',
    'reserved csi.v1.NodeServiceCapability.RPC.Type = 4',
  ],
  [
    'value csi.v1.ControllerServiceCapability.RPC.Type VOLUME_CONDITION = 11',
    'reserved csi.v1.ControllerServiceCapability.RPC.Type = 11',
  ],
]);

interface FieldProto {
  readonly name: string;
  readonly number: number;
  readonly label: string;
  readonly type: string;
  readonly typeName?: string;
  readonly oneofIndex?: number;
}
interface EnumProto {
  readonly name: string;
  readonly value: readonly { readonly name: string; readonly number?: number }[];
}
interface MessageProto {
  readonly name: string;
  readonly field?: readonly FieldProto[];
  readonly oneofDecl?: readonly { readonly name: string }[];
  readonly nestedType?: readonly MessageProto[];
  readonly enumType?: readonly EnumProto[];
  readonly options?: { readonly mapEntry?: boolean };
}
interface FileProto {
  readonly package: string;
  readonly messageType?: readonly MessageProto[];
  readonly enumType?: readonly EnumProto[];
  readonly service?: readonly {
    readonly name: string;
    readonly method: readonly {
      readonly name: string;
      readonly inputType: string;
      readonly outputType: string;
    }[];
  }[];
}

/** The names and numbers of proto/, in the form of names.txt. */
function ourNames(): string[] {
  const buf = join(ROOT, 'node_modules/.bin/buf');
  const image = execFileSync(buf, ['build', '-o', '-#format=json'], { cwd: ROOT, encoding: 'utf8' });
  const { file } = JSON.parse(image) as { file: readonly FileProto[] };
  return file
    .filter((each) => each.package !== 'google.protobuf')
    .flatMap(({ package: scope, messageType = [], enumType = [], service = [] }) => [
      ...messageType.flatMap((message) => namesOfMessage(scope, message)),
      ...enumType.flatMap((each) => namesOfEnum(scope, each)),
      ...service.flatMap(({ name, method }) =>
        method.map((rpc) =>
          ['rpc', `${scope}.${name}.${rpc.name}`, rpc.inputType.slice(1), rpc.outputType.slice(1)].join(' '),
        ),
      ),
    ]);
}

function namesOfMessage(scope: string, message: MessageProto): string[] {
  const { name, field = [], nestedType = [], enumType = [] } = message;
  const full = `${scope}.${name}`;
  return [
    `message ${full}`,
    ...field.map((each) => `field ${full}.${nameOfField(each, message)}`),
    ...nestedType
      .filter(({ options }) => options?.mapEntry !== true)
      .flatMap((each) => namesOfMessage(full, each)),
    ...enumType.flatMap((each) => namesOfEnum(full, each)),
  ];
}

function nameOfField(field: FieldProto, { oneofDecl = [], nestedType = [] }: MessageProto): string {
  const { name, number, label, oneofIndex } = field;
  const map = nestedType.find(
    (each) => each.options?.mapEntry === true && field.typeName?.endsWith(`.${each.name}`) === true,
  );
  const type =
    map === undefined
      ? `${label === 'LABEL_REPEATED' ? 'repeated ' : ''}${typeOf(field)}`
      : `map<${(map.field ?? []).map(typeOf).join(', ')}>`;
  const oneof = oneofIndex === undefined ? '' : ` in ${oneofDecl[oneofIndex]?.name ?? ''}`;
  return `${name} = ${String(number)} ${type}${oneof}`;
}

function typeOf({ type, typeName }: FieldProto): string {
  return typeName?.slice(1) ?? type.replace('TYPE_', '').toLowerCase();
}

function namesOfEnum(scope: string, { name, value }: EnumProto): string[] {
  return value.map((each) => `value ${scope}.${name} ${each.name} = ${String(each.number ?? 0)}`);
}

describe('the names and numbers of proto/', () => {
  const ours = ourNames();

  test('are those of the official text', () => {
    expect(ours.length).toBeGreaterThan(200);
    expect(ours.filter((each) => !OFFICIAL_NAMES.has(each) && !REMOVED.has(each))).toEqual([]);
  });

  test('are others only where CSI 1.13 removed and reserved them', () => {
    expect(ours).toEqual(expect.arrayContaining([...REMOVED.keys()]));
    expect([...REMOVED.keys()].filter((each) => OFFICIAL_NAMES.has(each))).toEqual([]);
    const reserved = [...REMOVED.values()].filter((each) => each !== undefined);
    expect(reserved.filter((each) => !OFFICIAL_NAMES.has(each))).toEqual([]);
  });

  test('have every value of each enum', () => {
    const enums = new Set(ours.flatMap((each) => /^value (\S+) /.exec(each)?.[1] ?? []));
    const official = [...OFFICIAL_NAMES].filter((each) => enums.has(/^value (\S+) /.exec(each)?.[1] ?? ''));
    const known = new Set(ours);
    expect(official.filter((each) => !known.has(each))).toEqual([]);
  });
});

/** A message as the official package encodes it: see wire/main.go. */
interface Golden {
  readonly name: string;
  readonly type: string;
  readonly hex: string;
  /** The same with the fields in the order of their numbers, as both codecs write them. */
  readonly orderedHex?: string;
  readonly fullHex?: string;
  readonly json: unknown;
}

const GOLDEN = JSON.parse(readFileSync(join(RECORDED, 'messages.json'), 'utf8')) as readonly Golden[];

interface Codec {
  decode(type: string, bytes: Buffer): unknown;
  encode(type: string, message: unknown): string;
}

const PACKAGES: Readonly<Record<string, object>> = { 'csi.v1': csi, pluginregistration: registration };

/** `csi.v1.NodeGetInfoRequest` by its package and its name. */
function namesIn(type: string): [string, string] {
  const at = type.lastIndexOf('.');
  return [type.slice(0, at), type.slice(at + 1)];
}

const tsProto: Codec = (() => {
  const codecOf = (type: string) => {
    const [scope, name] = namesIn(type);
    return (PACKAGES[scope] as Record<string, unknown>)[name] as {
      decode(bytes: Uint8Array): unknown;
      encode(message: unknown): { finish(): Uint8Array };
    };
  };
  return {
    decode: (type, bytes) => codecOf(type).decode(bytes),
    encode: (type, message) => Buffer.from(codecOf(type).encode(message).finish()).toString('hex'),
  };
})();

const protoLoader: Codec = (() => {
  const files = ['csi/v1/csi.proto', 'pluginregistration.proto'];
  const definition = loadSync(files, { includeDirs: [join(ROOT, 'proto')], longs: String });
  // Its types of messages have no codec of their own: the methods have.
  type Serialized = MethodDefinition<unknown, unknown>;
  const ends = new Map<string, Pick<Codec, 'encode' | 'decode'>>();
  for (const [service, rpcs] of Object.entries(definition)) {
    if ('format' in rpcs) continue;
    for (const rpc of Object.values(rpcs) as unknown as Serialized[]) {
      const line =
        [...OFFICIAL_NAMES].find((each) => each.startsWith(`rpc ${service}.${nameOf(rpc)} `)) ?? '';
      const [, , input = '', output = ''] = line.split(' ');
      ends.set(input, {
        decode: (_, bytes) => rpc.requestDeserialize(bytes),
        encode: (_, message) => rpc.requestSerialize(message).toString('hex'),
      });
      ends.set(output, {
        decode: (_, bytes) => rpc.responseDeserialize(bytes),
        encode: (_, message) => rpc.responseSerialize(message).toString('hex'),
      });
    }
  }
  // What a server does with the definition.
  loadPackageDefinition(definition);
  const endOf = (type: string): Pick<Codec, 'encode' | 'decode'> => {
    const end = ends.get(type);
    if (end === undefined) throw new Error(`no RPC takes or gives ${type}`);
    return end;
  };
  return {
    decode: (type, bytes) => endOf(type).decode(type, bytes),
    encode: (type, message) => endOf(type).encode(type, message),
  };
})();

function nameOf({ path }: { readonly path: string }): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** A decoded message as protobuf's JSON has it: without empty fields, with 64-bit numbers as texts. */
function asJson(value: unknown, name = ''): unknown {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return value.map((each) => asJson(each));
  if (typeof value !== 'object' || value === null) return value;
  // proto-loader keeps the wrapper around a boolean that may be absent.
  if (name === 'ready') return (value as { value?: boolean }).value ?? false;
  const fields = Object.entries(value)
    .map(([key, each]) => [key, asJson(each, key)] as const)
    .filter(([key, each]) => key === 'ready' || !isEmpty(each));
  return Object.fromEntries(fields.filter(([, each]) => each !== undefined));
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return (
    value === undefined || value === '' || value === 0 || value === '0' || value === false || isNothing(value)
  );
}

/** A map without entries, which looks like a message without fields: `block` alone is such a message. */
function isNothing(value: unknown): boolean {
  return value !== null && typeof value === 'object' && Object.keys(value).length === 0;
}

describe.each([
  ['the generated code', tsProto],
  ['proto-loader', protoLoader],
])('what the official package encodes is read and written alike by %s', (_, codec) => {
  test.each(GOLDEN)('$name', ({ type, hex, orderedHex = hex, fullHex, json }) => {
    const message = codec.decode(type, Buffer.from(hex, 'hex'));
    expect(asJson(message)).toEqual(asJson(json));
    expect(codec.encode(type, message)).toBe(orderedHex);
    // Fields that proto/ leaves out are skipped.
    if (fullHex !== undefined) {
      expect(codec.encode(type, codec.decode(type, Buffer.from(fullHex, 'hex')))).toBe(orderedHex);
    }
  });
});

test('every RPC of proto/ has its messages among them', () => {
  const types = new Set(GOLDEN.map(({ type }) => type));
  const rpcs = ourNames().filter((each) => each.startsWith('rpc '));
  expect(rpcs.length).toBeGreaterThan(15);
  expect(rpcs.flatMap((each) => each.split(' ').slice(2)).filter((each) => !types.has(each))).toEqual([]);
});
