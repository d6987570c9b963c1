/**
 * Requests to the server. What cannot be delivered, because the server is down or busy, is tried
 * again until it is; what the server refuses is thrown as a `Refusal`.
 */

const FIRST_WAIT = 400; // milliseconds
const LONGEST_WAIT = 5000;
const BUSY = new Set([429, 502, 503, 504]);

/** An answer other than success: its status, and the server's words. */
export class Refusal extends Error {
  constructor(status, body) {
    super(body?.error ?? `The server answered with status ${status}.`);
    this.status = status;
    this.body = body;
  }
}

export class Api {
  constructor() {
    this.reviewer = null;
    this.isOnline = true;
    this.onConnection = () => {};
  }

  #headers(hasBody) {
    const headers = {};
    if (this.reviewer) headers["X-Reviewer"] = encodeURIComponent(this.reviewer);
    if (hasBody) headers["Content-Type"] = "application/json";
    return headers;
  }

  #connection(isOnline) {
    if (this.isOnline === isOnline) return;
    this.isOnline = isOnline;
    this.onConnection(isOnline);
  }

  async #send(method, path, body) {
    const response = await fetch(path, {
      method,
      headers: this.#headers(body !== undefined),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (BUSY.has(response.status)) throw new TypeError("busy");
    const content = await response.json().catch((error) => {
      if (response.ok) throw new TypeError("cut off", { cause: error });
      return null;
    });
    this.#connection(true);
    if (!response.ok) throw new Refusal(response.status, content);
    return content;
  }

  /** Return the answer to a request, which is repeated until the server takes it. */
  async request(method, path, body) {
    for (let wait = FIRST_WAIT; ; wait = Math.min(LONGEST_WAIT, wait * 1.6)) {
      try {
        return await this.#send(method, path, body);
      } catch (error) {
        if (error instanceof Refusal) throw error;
        this.#connection(false);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  get(path, parameters = {}) {
    const query = new URLSearchParams(
      Object.entries(parameters).filter(([, value]) => value !== "" && value !== null),
    );
    return this.request("GET", query.size ? `api/${path}?${query}` : `api/${path}`);
  }

  post(path, body) {
    return this.request("POST", `api/${path}`, body);
  }
}
