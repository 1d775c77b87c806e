/*
 * What a browser has for calls and Node has not, as far as signalling shows it: no media, no network. A connection
 * finds its candidates when the journey says so.
 */

class Described {
  constructor(fields) {
    Object.assign(this, fields);
  }
}

class Connection {
  static made = [];

  added = [];
  iceConnectionState = 'new';
  signalingState = 'stable';

  constructor(configuration) {
    this.configuration = configuration;
    this.number = Connection.made.push(this);
  }

  addStream(stream) {
    this.stream = stream;
    queueMicrotask(() => this.onnegotiationneeded?.());
  }

  createOffer() {
    return Promise.resolve(this.#describe('offer'));
  }

  createAnswer() {
    return Promise.resolve(this.#describe('answer'));
  }

  async setLocalDescription(description) {
    this.localDescription = description;
  }

  async setRemoteDescription(description) {
    this.remoteDescription = description;
    this.onaddstream({ stream: `stream of ${description.sdp.split('\r\n')[0]}` });
  }

  async addIceCandidate(candidate) {
    this.added.push(candidate.candidate);
  }

  close() {
    this.signalingState = 'closed';
  }

  /** Finds so many candidates, each told to the other side at once. */
  async gather(count) {
    for (let index = 0; index < count; index += 1) {
      const candidate = new Described({ candidate: `candidate ${this.number}.${index}`, sdpMid: '0', sdpMLineIndex: 0 });
      await this.onicecandidate({ candidate });
    }
    await this.onicecandidate({ candidate: null });
  }

  lose() {
    this.iceConnectionState = 'disconnected';
    this.oniceconnectionstatechange();
  }

  /** As long as a browser's, with the line ends that such a text has. */
  #describe(type) {
    const lines = Array.from({ length: 60 }, (_, index) => `a=ssrc:${index} cname:"${'x'.repeat(30)}"`);
    return new Described({ type, sdp: [`v=${this.number}`, ...lines, ''].join('\r\n') });
  }
}

/** Lets this process look like a browser to what is loaded by `load`, and have its calls from then on. */
export function withCalls(load) {
  Object.assign(globalThis, {
    RTCPeerConnection: Connection,
    RTCSessionDescription: Described,
    RTCIceCandidate: Described,
  });
  globalThis.window = globalThis;
  try {
    return load();
  } finally {
    delete globalThis.window;
  }
}
