import type { NodeCapabilities } from '../../csi/index.js';
import type { NodeGetStorageHealthResponse, PluginCapability } from '../../csi/v1/index.js';
import type { CliCommand } from '../command.js';
import {
  CSI_OPTIONS,
  CsiSession,
  failed,
  problemText,
  SOCKET,
  told,
  type CsiOptions,
  type Field,
  type Outcome,
} from '../csi-session.js';

const WITH_STATS = 'yes: it advertises GET_VOLUME_STATS';

const WITHOUT_STATS =
  'no: it does not advertise GET_VOLUME_STATS, so the kubelet never asks it for numbers. That is why its volumes are ' +
  'missing from kubelet_volume_stats_* and are empty in Grafana; only the driver can change that.';

/** The names of the protocol's numbers. */
type Protocol = typeof import('../../csi/v1/index.js');

export const CSI_PROBE: CliCommand<CsiOptions> = {
  group: 'csi',
  name: 'probe',
  summary: 'what a CSI driver can do, and whether it reports numbers',
  description:
    'Asks a CSI driver for its name, whether it is ready and what it can do, and says whether it reports numbers for its volumes.',
  operand: SOCKET,
  options: CSI_OPTIONS,
  incomplete: 'the driver did not answer everything, or is not ready',
  examples: ['/var/lib/kubelet/plugins/hostpath.csi.k8s.io/csi.sock'],
  run: async (operands, options, signal) => {
    const session = await CsiSession.open(operands, options, signal);
    const { client } = session;
    const identity = await session.ask((limits) => client.getPluginInfo(limits));
    const driver = identity.answer && { name: identity.answer.name, version: identity.answer.vendorVersion };
    const said = told('driver', identity, ({ name, vendorVersion }) => `${name} ${vendorVersion}`);
    if (identity.failure && identity.isAway) {
      client.close();
      return session.answer('csi probe', { errors: [identity.failure] }, said, false);
    }
    const [ready, plugin, node, info] = await Promise.all([
      session.ask((limits) => client.probe(limits)),
      session.ask((limits) => client.getPluginCapabilities(limits)),
      session.ask((limits) => client.nodeGetCapabilities(limits)),
      session.ask((limits) => client.nodeGetInfo(limits)),
    ]);
    const protocol = await import('../../csi/v1/index.js');
    const { NodeServiceCapability_RPC_Type: NodeCapability } = protocol;
    const storage = node.answer?.has(NodeCapability.GET_STORAGE_HEALTH)
      ? await session.ask((limits) => client.nodeGetStorageHealth(limits))
      : undefined;
    client.close();

    const pluginCapabilities = plugin.answer?.capabilities.map((each) => pluginCapability(protocol, each));
    // A type without a name is one of a newer CSI.
    const nodeCapabilities =
      node.answer && [...node.answer].map((type) => NodeCapability[type] ?? `type ${String(type)}`);
    const volumeStats = node.answer?.has(NodeCapability.GET_VOLUME_STATS);
    const problems = storage?.answer && storageProblems(protocol, storage.answer);
    const outcomes = [identity, ready, plugin, node, info, ...(storage === undefined ? [] : [storage])];
    const errors = outcomes.flatMap(({ failure }) => failure ?? []);
    // 0 leaves it to the orchestrator.
    const maxVolumes = info.answer?.maxVolumesPerNode === 0n ? undefined : info.answer?.maxVolumesPerNode;
    const json = {
      driver,
      ready: ready.answer,
      node: info.answer && { id: info.answer.nodeId, maxVolumes },
      pluginCapabilities,
      nodeCapabilities,
      volumeStats,
      storageProblems: problems,
      errors,
    };
    const fields = [
      ...said,
      ...told('ready', ready, (isReady) => (isReady ? 'yes' : 'not yet: it is starting')),
      ...told('node', info, ({ nodeId }) => nodeId),
      ...told('plugin', plugin, () => listed(pluginCapabilities)),
      ...told('node service', node, () => listed(nodeCapabilities)),
      ...(node.answer === undefined
        ? []
        : [
            { name: 'volume stats', ...(volumeStats === true ? YES : NO) },
            { name: 'volume health', value: health(protocol, node.answer) },
            ...storageFields(storage, problems),
          ]),
    ];
    return session.answer('csi probe', json, fields, errors.length === 0 && ready.answer === true);
  },
};

const YES = { value: WITH_STATS, style: 'green' } as const;
const NO = { value: WITHOUT_STATS, style: 'yellow' } as const;

function listed(names: readonly string[] = []): string {
  return names.length === 0 ? 'nothing' : names.join(', ');
}

/** A problem of the storage as JSON has it, with names for the protocol's numbers. */
interface Problem {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  /** Which volumes it is about; absent for all of them. */
  readonly volumes?: string;
}

function storageProblems(
  { StorageHealthErrorType: Status, VolumeCapability_AccessMode_Mode: Mode }: Protocol,
  { backendHealth }: NodeGetStorageHealthResponse,
): Problem[] {
  return backendHealth.map(({ status, reason, message, volumeCapability }) => {
    const name = Status[status] ?? `type ${String(status)}`;
    if (volumeCapability === undefined) return { status: name, reason, message };
    const { block, mount, accessMode } = volumeCapability;
    const kind = block ? 'block' : mount ? 'filesystem' : 'a kind that is not said';
    const mode = accessMode && (Mode[accessMode.mode] ?? `mode ${String(accessMode.mode)}`);
    return {
      status: name,
      reason,
      message,
      volumes: [kind, ...(mode === undefined ? [] : [mode])].join(' '),
    };
  });
}

/** @param storage - undefined if the driver was not asked */
function storageFields(
  storage: Outcome<NodeGetStorageHealthResponse> | undefined,
  problems: readonly Problem[] = [],
): Field[] {
  const name = 'storage health';
  if (storage === undefined) return [{ name, value: 'no' }];
  if (storage.failure !== undefined) return failed(name, storage.failure);
  if (problems.length === 0) return [{ name, value: 'yes: it knows of no problem', style: 'green' }];
  return problems.map((problem) => ({
    name,
    value: `${problemText(problem)}${problem.volumes === undefined ? '' : ` (${problem.volumes})`}`,
    style: 'red',
  }));
}

function health({ NodeServiceCapability_RPC_Type: Type }: Protocol, capabilities: NodeCapabilities): string {
  if (capabilities.has(Type.GET_VOLUME_HEALTH)) {
    const old = capabilities.has(Type.VOLUME_CONDITION) ? ', and VOLUME_CONDITION for older callers' : '';
    return `yes: it advertises GET_VOLUME_HEALTH (CSI 1.13)${old}`;
  }
  if (capabilities.has(Type.VOLUME_CONDITION)) {
    return 'yes: it advertises VOLUME_CONDITION (before CSI 1.13)';
  }
  return 'no';
}

function pluginCapability(protocol: Protocol, { service, volumeExpansion }: PluginCapability): string {
  const { PluginCapability_Service_Type: Service, PluginCapability_VolumeExpansion_Type: Expansion } =
    protocol;
  if (service) return Service[service.type] ?? `service ${String(service.type)}`;
  if (!volumeExpansion) return 'an entry without a type';
  const { type } = volumeExpansion;
  return `volume expansion ${Expansion[type] ?? String(type)}`;
}
