import type { sendUnaryData, ServerUnaryCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { IdentityService, NodeService } from '../../csi/gen/csi/v1/csi.js';
import type { FailureStatus } from '../../csi/messages/grpc-status.js';

const RPCS = { ...IdentityService, ...NodeService };

/** The name of an RPC of the fake, as in the generated code: `nodeGetVolumeStats`. */
export type FakeCsiRpc = keyof (IdentityService & NodeService);

/** The request of an RPC. */
export type FakeCsiRequest<Rpc extends FakeCsiRpc> = ReturnType<
  (IdentityService & NodeService)[Rpc]['requestDeserialize']
>;

/** The response of an RPC. */
export type FakeCsiResponse<Rpc extends FakeCsiRpc> = ReturnType<
  (IdentityService & NodeService)[Rpc]['responseDeserialize']
>;

/** What an RPC answers: a message; the bytes of one, which need not be one; or a failure. */
export type FakeCsiAnswer<Rpc extends FakeCsiRpc> = FakeCsiResponse<Rpc> | Buffer | FailureStatus;

/** A call that has come. */
export type FakeCsiCall = ServerUnaryCall<unknown, unknown>;

/**
 * The fake's services: like the real ones, but a response may be given as bytes.
 *
 * @param handle - answers a call; undefined leaves it without an answer
 */
export function fakeServices(
  handle: (rpc: FakeCsiRpc, call: FakeCsiCall) => Promise<FakeCsiAnswer<FakeCsiRpc> | undefined>,
): readonly { readonly definition: object; readonly implementation: UntypedServiceImplementation }[] {
  return [IdentityService, NodeService].map((service) => {
    const rpcs = Object.keys(service) as FakeCsiRpc[];
    return {
      definition: Object.fromEntries(rpcs.map((rpc) => [rpc, withRawResponses(rpc)])),
      implementation: Object.fromEntries(
        rpcs.map((rpc) => [
          rpc,
          (call: FakeCsiCall, callback: sendUnaryData<unknown>) => {
            void handle(rpc, call).then((answer) => {
              if (answer === undefined) return;
              if (isFailure(answer)) callback(answer);
              else callback(null, answer);
            }, callback);
          },
        ]),
      ),
    };
  });
}

function withRawResponses(rpc: FakeCsiRpc): object {
  const definition = RPCS[rpc];
  const serialize = definition.responseSerialize as (response: unknown) => Buffer;
  return {
    ...definition,
    responseSerialize: (response: unknown) => (Buffer.isBuffer(response) ? response : serialize(response)),
  };
}

function isFailure(answer: object): answer is FailureStatus {
  return 'code' in answer && 'details' in answer;
}
