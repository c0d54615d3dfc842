// The services that clients serve on their sessions.

import { bytes, int64, map, message, repeated, string } from '../wire/codec';
import { bidirectional, service, unary } from '../wire/service';
import { BytesMessage } from './control';
import { Packet } from './files';
import { Empty } from './google';

/** Files of the client's directories. */
export const FileSync = service('moby.filesync.v1.FileSync', { DiffCopy: bidirectional(Packet, Packet) });

/** Files for the client: `Packets` to a directory, `Bytes` to a single one; the same method by what the client expects. */
export const FileSend = {
  Packets: service('moby.filesync.v1.FileSend', { DiffCopy: bidirectional(Packet, Packet) }),
  Bytes: service('moby.filesync.v1.FileSend', { DiffCopy: bidirectional(BytesMessage, BytesMessage) }),
};

const CredentialsRequest = message({ Host: string(1) });
const CredentialsResponse = message({ Username: string(1), Secret: string(2) });
const FetchTokenRequest = message({
  ClientID: string(1),
  Host: string(2),
  Realm: string(3),
  Service: string(4),
  Scopes: repeated(string(5)),
});
/** Seconds. */
const FetchTokenResponse = message({ Token: string(1), ExpiresIn: int64(2), IssuedAt: int64(3) });
const GetTokenAuthorityRequest = message({ Host: string(1), Salt: bytes(2) });
const GetTokenAuthorityResponse = message({ PublicKey: bytes(1) });
const VerifyTokenAuthorityRequest = message({ Host: string(1), Payload: bytes(2), Salt: bytes(3) });
const VerifyTokenAuthorityResponse = message({ Signed: bytes(1) });

export const Auth = service('moby.filesync.v1.Auth', {
  Credentials: unary(CredentialsRequest, CredentialsResponse),
  FetchToken: unary(FetchTokenRequest, FetchTokenResponse),
  GetTokenAuthority: unary(GetTokenAuthorityRequest, GetTokenAuthorityResponse),
  VerifyTokenAuthority: unary(VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse),
});

const GetSecretRequest = message({ ID: string(1), annotations: map(string(2)) });
const GetSecretResponse = message({ data: bytes(1) });
export const Secrets = service('moby.buildkit.secrets.v1.Secrets', {
  GetSecret: unary(GetSecretRequest, GetSecretResponse),
});

const CheckAgentRequest = message({ ID: string(1) });
export const SSH = service('moby.sshforward.v1.SSH', {
  CheckAgent: unary(CheckAgentRequest, Empty),
  ForwardAgent: bidirectional(BytesMessage, BytesMessage),
});

/** The content comes after an empty first message of ours. */
export const Upload = service('moby.upload.v1.Upload', { Pull: bidirectional(BytesMessage, BytesMessage) });
