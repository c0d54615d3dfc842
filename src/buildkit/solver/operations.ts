// What a vertex is to do: its operation, checked.

import { BuildError } from '../contract/errors';
import type { Vertex } from '../contract/llb';
import type { Entitlement } from '../contract/solver';
import { Op } from '../messages/ops';
import { countedExec, execOperation } from './ops/exec';
import { fileOperation } from './ops/file';
import { diffOperation, mergeOperation } from './ops/layers';
import type { Operation } from './ops/operation';

/** Undefined for sources. Throws InvalidArgument, Unimplemented or PermissionDenied for what may not run. */
export function operationOf(vertex: Vertex, entitlements: ReadonlySet<Entitlement>): Operation | undefined {
  const { op, inputs } = vertex;
  const what = op.op;
  const inputCount = inputs.length;
  switch (what?.kind) {
    case 'source':
      if (inputCount > 0) throw new BuildError('InvalidArgument', 'a source has no inputs');
      return undefined;
    case 'exec':
      return execOperation(what.value, {
        inputCount,
        keyBytes: keyBytesOf(op, { kind: 'exec', value: countedExec(what.value) }),
        platform: op.platform,
        entitlements,
      });
    case 'file':
      return fileOperation(what.value, inputCount, keyBytesOf(op, what));
    case 'merge':
      return mergeOperation(what.value, inputCount, keyBytesOf(op, what));
    case 'diff':
      return diffOperation(what.value, inputCount, keyBytesOf(op, what));
    case 'build':
    case 'passthrough':
      throw new BuildError('Unimplemented', `operation ${what.kind} is not supported`);
    case undefined:
      throw new BuildError('InvalidArgument', `invalid operation ${vertex.digest}: of no known kind`);
  }
}

/** Inputs count by their own keys; where it runs doesn't. */
function keyBytesOf(op: Op, counted: NonNullable<Op['op']>): Buffer {
  return Op.encode({ ...op, inputs: [], constraints: undefined, op: counted });
}
