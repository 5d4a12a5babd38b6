import { listOf, objectOf, textField, textOf, type JsonObject } from './checked-json.js';
import type { NodeContainer, NodeContainerState, NodeVolumeDevice, NodeVolumeMount } from './node-pod.js';

/** The three kinds of containers, with the lists of their specs and statuses. */
const KINDS = [
  ['init', 'initContainers', 'initContainerStatuses'],
  ['container', 'containers', 'containerStatuses'],
  ['ephemeral', 'ephemeralContainers', 'ephemeralContainerStatuses'],
] as const;

/** All containers of a pod, each with its status. Those without a name are left out. */
export function containersOf(spec: JsonObject, status: JsonObject): NodeContainer[] {
  return KINDS.flatMap(([type, specs, statuses]) => {
    const byName = new Map(
      listOf(status[statuses]).flatMap((each) => {
        const object = objectOf(each);
        const name = textOf(object?.['name']);
        return object === undefined || name === undefined ? [] : [[name, object] as const];
      }),
    );
    return listOf(spec[specs]).flatMap((each) => {
      const container = objectOf(each);
      const name = textOf(container?.['name']);
      if (container === undefined || name === undefined) return [];
      return [containerFrom(name, type, container, byName.get(name) ?? {})];
    });
  });
}

function containerFrom(
  name: string,
  type: NodeContainer['type'],
  container: JsonObject,
  status: JsonObject,
): NodeContainer {
  const restarts = status['restartCount'];
  const state = stateFrom(objectOf(status['state']) ?? {});
  return {
    name,
    type,
    volumeMounts: listOf(container['volumeMounts']).flatMap(mountFrom),
    volumeDevices: listOf(container['volumeDevices']).flatMap(deviceFrom),
    ...(state !== undefined && { state }),
    restartCount: typeof restarts === 'number' && restarts >= 0 ? restarts : 0,
  };
}

function mountFrom(value: unknown, index: number): NodeVolumeMount[] {
  const given = objectOf(value);
  const name = textOf(given?.['name']);
  if (given === undefined || name === undefined) return [];
  const readOnly = given['readOnly'];
  return [
    {
      index,
      name,
      ...textField('mountPath', given['mountPath']),
      ...(typeof readOnly === 'boolean' && { readOnly }),
      ...textField('subPath', given['subPath']),
      ...textField('subPathExpr', given['subPathExpr']),
    },
  ];
}

function deviceFrom(value: unknown): NodeVolumeDevice[] {
  const given = objectOf(value);
  const name = textOf(given?.['name']);
  return name === undefined ? [] : [{ name, ...textField('devicePath', given?.['devicePath']) }];
}

function stateFrom(state: JsonObject): NodeContainerState | undefined {
  for (const name of ['running', 'waiting', 'terminated'] as const) {
    const given = objectOf(state[name]);
    if (given === undefined) continue;
    const exitCode = given['exitCode'];
    return {
      name,
      ...textField('reason', given['reason']),
      ...(typeof exitCode === 'number' && { exitCode }),
    };
  }
  return undefined;
}
