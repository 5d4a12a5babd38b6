import { Client, credentials, type MethodDefinition } from '@grpc/grpc-js';
import {
  ControllerService,
  NodeService,
  VolumeCapability_AccessMode_Mode as Mode,
  type VolumeCapability,
} from 'kube-volume-metrics/csi/v1';
import { startDriver } from '../csi-hostpath/driver.js';
import type { KubeletFolder } from './kubelet-folder.js';
import { NODE_NAME } from './pods.js';
import type { UndoList } from './undo-list.js';

const FILESYSTEM: VolumeCapability = {
  mount: { fsType: '', mountFlags: [], volumeMountGroup: '' },
  accessMode: { mode: Mode.SINGLE_NODE_WRITER },
};

const TIMEOUT_MS = 10_000;

/** A CSI driver on the node, to begin with. */
export interface StorageOptions {
  readonly name: string;
  /** Where the driver keeps its volumes. */
  readonly disk: string;
  readonly kubelet: KubeletFolder;
  readonly placeBy: 'mount' | 'symlink';
}

/** A volume to be made. */
export interface NewVolume {
  readonly podUid: string;
  /** The PersistentVolume. */
  readonly name: string;
  /** What is wrong with it, for a volume that is not well. */
  readonly abnormal?: string;
}

/** A CSI driver that runs, and the part that a provisioner and the kubelet play in front of it. */
export class CsiStorage {
  readonly name: string;
  readonly #kubelet: KubeletFolder;
  readonly #rpcs: Client;
  readonly #undo: UndoList;

  private constructor(name: string, socket: string, kubelet: KubeletFolder, undo: UndoList) {
    this.name = name;
    this.#kubelet = kubelet;
    this.#undo = undo;
    this.#rpcs = new Client(`unix:${socket}`, credentials.createInsecure());
    undo.add(`the connections to ${name}`, () => {
      this.#rpcs.close();
    });
  }

  /**
   * Starts the driver in this process; it could as well be in another one, because everything goes through
   * its sockets: the one that answers, and the one that makes it known to the kubelet.
   */
  static async start({ name, disk, kubelet, placeBy }: StorageOptions, undo: UndoList): Promise<CsiStorage> {
    const socket = await kubelet.socket(name);
    const kubeletRegistry = await kubelet.registry();
    const driver = await startDriver({
      ...{ name, endpoint: socket, dataRoot: disk, nodeId: NODE_NAME, placeBy, kubeletRegistry },
    });
    undo.add(`the driver ${name}`, () => driver.close());
    return new CsiStorage(name, socket, kubelet, undo);
  }

  /**
   * Makes a volume and brings it to its pod.
   *
   * @returns where it is
   */
  async publish({ podUid, name, abnormal }: NewVolume): Promise<string> {
    const { volume } = await this.#call(ControllerService.createVolume, {
      name,
      volumeCapabilities: [FILESYSTEM],
      parameters: abnormal === undefined ? {} : { abnormal },
      secrets: {},
    });
    const volumeId = volume?.volumeId ?? '';
    this.#undo.add(`the volume ${name}`, () =>
      this.#call(ControllerService.deleteVolume, { volumeId, secrets: {} }),
    );
    const stagingTargetPath = await this.#kubelet.staging(this.name, volumeId);
    const volumePath = await this.#kubelet.csiVolume(podUid, name, this.name, volumeId);
    const request = {
      ...{ volumeId, stagingTargetPath, volumeCapability: FILESYSTEM },
      ...{ publishContext: {}, volumeContext: {}, secrets: {} },
    };
    this.#undo.add(`the volume ${name} where it is staged`, () =>
      this.#call(NodeService.nodeUnstageVolume, { volumeId, stagingTargetPath }),
    );
    await this.#call(NodeService.nodeStageVolume, request);
    this.#undo.add(`the volume ${name} in its pod`, () =>
      this.#call(NodeService.nodeUnpublishVolume, { volumeId, targetPath: volumePath }),
    );
    await this.#call(NodeService.nodePublishVolume, { ...request, targetPath: volumePath, readonly: false });
    return volumePath;
  }

  #call<Request, Response>(method: MethodDefinition<Request, Response>, request: Request): Promise<Response> {
    const { path, requestSerialize, responseDeserialize } = method;
    return new Promise((resolve, reject) => {
      this.#rpcs.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        { deadline: Date.now() + TIMEOUT_MS },
        (error, response) => {
          if (response !== undefined) resolve(response);
          else reject(new Error(`${path} failed: ${error?.details ?? 'no answer'}`, { cause: error }));
        },
      );
    });
  }
}
