// The CSI protocol as generated from proto/csi/v1/csi.proto: services, messages and enums, and none of the
// generator's helpers.

// Services: what grpc-js adds to a server, the interface that a server implements, and a client.
export {
  IdentityService,
  IdentityClient,
  ControllerService,
  ControllerClient,
  NodeService,
  NodeClient,
} from '../gen/csi/v1/csi.js';
export type { IdentityServer, ControllerServer, NodeServer } from '../gen/csi/v1/csi.js';

// Enums.
export {
  VolumeHealthErrorType,
  PluginCapability_Service_Type,
  PluginCapability_VolumeExpansion_Type,
  VolumeUsage_Unit,
  NodeServiceCapability_RPC_Type,
  VolumeCapability_AccessMode_Mode,
  ControllerServiceCapability_RPC_Type,
} from '../gen/csi/v1/csi.js';

// Messages: each is a type, and a value with `encode` and `decode`.
export {
  GetPluginInfoRequest,
  GetPluginInfoResponse,
  GetPluginCapabilitiesRequest,
  GetPluginCapabilitiesResponse,
  PluginCapability,
  PluginCapability_Service,
  PluginCapability_VolumeExpansion,
  ProbeRequest,
  ProbeResponse,
  NodeGetVolumeStatsRequest,
  NodeGetVolumeStatsResponse,
  VolumeUsage,
  VolumeCondition,
  NodeGetVolumeHealthRequest,
  NodeGetVolumeHealthResponse,
  VolumeHealth,
  VolumeHealthEntry,
  NodeGetCapabilitiesRequest,
  NodeGetCapabilitiesResponse,
  NodeServiceCapability,
  NodeServiceCapability_RPC,
  NodeGetInfoRequest,
  NodeGetInfoResponse,
  Topology,
  VolumeCapability,
  VolumeCapability_BlockVolume,
  VolumeCapability_MountVolume,
  VolumeCapability_AccessMode,
  NodeStageVolumeRequest,
  NodeStageVolumeResponse,
  NodeUnstageVolumeRequest,
  NodeUnstageVolumeResponse,
  NodePublishVolumeRequest,
  NodePublishVolumeResponse,
  NodeUnpublishVolumeRequest,
  NodeUnpublishVolumeResponse,
  CapacityRange,
  Volume,
  CreateVolumeRequest,
  CreateVolumeResponse,
  DeleteVolumeRequest,
  DeleteVolumeResponse,
  ValidateVolumeCapabilitiesRequest,
  ValidateVolumeCapabilitiesResponse,
  ValidateVolumeCapabilitiesResponse_Confirmed,
  ControllerGetCapabilitiesRequest,
  ControllerGetCapabilitiesResponse,
  ControllerServiceCapability,
  ControllerServiceCapability_RPC,
} from '../gen/csi/v1/csi.js';
