/** What the challenge's scripts use of jslib's httpx, over k6's own client. */
import http from 'k6/http';

export class Httpx {
  constructor({ baseURL, headers, timeout }) {
    this.baseURL = baseURL;
    this.headers = headers;
    this.timeout = timeout;
  }

  asyncGet(path) {
    return this.ask('GET', path, null, {});
  }

  asyncPost(path, body, params = {}) {
    return this.ask('POST', path, body ?? null, params);
  }

  asyncPut(path, body, params = {}) {
    return this.ask('PUT', path, body ?? null, params);
  }

  ask(method, path, body, params) {
    const headers = { ...this.headers, ...params.headers };
    return http.asyncRequest(method, this.baseURL + path, body, {
      timeout: this.timeout,
      ...params,
      headers,
    });
  }
}
