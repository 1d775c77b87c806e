import { Event as Im, Realtime, type IMClient } from 'leancloud-realtime';

export type Connection = 'connected' | 'reconnecting' | 'offline';

export interface Session {
  client: IMClient;
  realtime: Realtime;
}

/** Asks the server which app this page belongs to, and opens the named client in it. */
export async function openSession(name: string): Promise<Session> {
  const realtime = await (connection ??= connect());
  return { realtime, client: await realtime.createIMClient(name) };
}

// The SDK allows one Realtime per app and page, so that a second try to sign in uses the same one.
let connection: Promise<Realtime> | undefined;

async function connect(): Promise<Realtime> {
  try {
    const answer = await fetch('/chat/config.json');
    if (!answer.ok) throw new Error(answer.statusText);
    const { appId, appKey, serverUrl } = await answer.json();
    return new Realtime({ appId, appKey, server: serverUrl || location.origin });
  } catch (error) {
    connection = undefined;
    throw error;
  }
}

/** Why the server refused, in its words; nothing if it did not refuse but could not be reached. */
export function refusal(error: unknown): string | undefined {
  const { code, message } = error as { code?: number; message?: string };
  return code ? message : undefined;
}

/** Tells each change of the connection; `connected` only when the session is open again. */
export function watchConnection(client: IMClient, changed: (connection: Connection) => void): void {
  client.on(Im.DISCONNECT, () => changed(navigator.onLine ? 'reconnecting' : 'offline'));
  client.on(Im.OFFLINE, () => changed('offline'));
  client.on(Im.ONLINE, () => changed('reconnecting'));
  client.on(Im.RECONNECT, () => changed('connected'));
}

/** Tells when the server ended the session for good, with its reason if it gave one. */
export function watchEnd(client: IMClient, ended: (reason?: string) => void): void {
  client.on(Im.CONFLICT, (event) => ended(event?.reason));
  client.on(Im.CLOSE, (event) => ended(event?.reason));
  client.on(Im.RECONNECT_ERROR, (error) => {
    // If nobody refused, the connection broke again and the SDK goes on trying.
    const reason = refusal(error);
    if (reason) ended(reason);
  });
}
