// What the cluster's API answers, as errors of ours.

import { within } from '../../async/deadline';
import { DaemonError, errorMessage, systemErrorCode, type ErrorCode } from '../../errors';

const codes: Readonly<Record<number, ErrorCode>> = {
  400: 'InvalidParameter',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  422: 'InvalidParameter',
  429: 'Unavailable',
  503: 'Unavailable',
  504: 'Unavailable',
};

interface ApiAnswer {
  code?: unknown;
  body?: unknown;
}

/** HTTP's status of what the API refused; undefined where it was not reached. */
export function apiStatus(error: unknown): number | undefined {
  const { code } = Object(error) as ApiAnswer; // whatever was thrown
  return typeof code === 'number' ? code : undefined;
}

/** Whatever a call threw, with the API's own words. */
export function apiError(error: unknown): DaemonError {
  if (error instanceof DaemonError) return error;
  const status = apiStatus(error);
  if (status === undefined) {
    const why = systemErrorCode(error) ?? errorMessage(error);
    return new DaemonError('Unavailable', `the cluster's API does not answer: ${why}`, { cause: error });
  }
  return new DaemonError(codes[status] ?? 'Internal', answerText(error, status), { cause: error });
}

/** No request takes the API server longer itself: it gives up after a minute, and says so. */
export const requestTimeoutMs = 90_000;

/** The call, with `apiError` for what it throws; Unavailable where no answer comes. */
export async function callApi<T>(call: () => Promise<T>): Promise<T> {
  const overdue = (): DaemonError =>
    new DaemonError(
      'Unavailable',
      `the cluster's API does not answer: nothing came within ${requestTimeoutMs} ms`,
    );
  try {
    return await within(call(), requestTimeoutMs, { overdue });
  } catch (error) {
    throw apiError(error);
  }
}

function answerText(error: unknown, status: number): string {
  let { body } = Object(error) as ApiAnswer; // whatever was thrown
  if (typeof body === 'string') {
    try {
      body = JSON.parse(body) as unknown;
    } catch {
      // no Status of Kubernetes'
    }
  }
  const { message } = Object(body) as { message?: unknown };
  return typeof message === 'string' && message !== '' ? message : `the cluster's API answered ${status}`;
}
