// The server: requests relative to the page, so that it works behind any prefix, and its refusals as sentences.

/** What the server refused, or that it did not answer (RFC 9457 "problem details"). */
export class Problem extends Error {
  constructor({ title, detail = "", status = 0, errors = [] }) {
    super(detail || title);
    Object.assign(this, { title, detail, status, errors });
  }
}

/**
 * A link's address as seen from this page. Links carry the installation's public address; the page may be reached by
 * another one (a tunnel, a proxy), where only the part from the service's name on is right.
 */
export function local(href) {
  const url = new URL(href, document.baseURI);
  const service = /\/((?:stapi|stac|files)(?:\/.*)?)$/.exec(url.pathname);
  return service ? service[1] + url.search : href;
}

export function linkOf(document, rel) {
  const link = (document.links ?? []).find((candidate) => candidate.rel === rel);
  return link && { ...link, href: local(link.href) };
}

export const get = (href, signal) => send(href, { signal });

export const post = (href, body, signal) =>
  send(href, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" }, signal });

async function send(href, options) {
  let response;
  try {
    response = await fetch(href, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      title: "The server does not answer",
      detail: "Check that “overflight serve” is running and that this machine reaches it.",
    });
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw problemOf(response, answer);
}

function problemOf(response, answer) {
  if (response.ok) return new Problem({ title: "The server's answer is no JSON", detail: response.url });
  const known = answer && typeof answer.title === "string";
  const title = `The server answered ${response.status} ${response.statusText}`.trim();
  return new Problem({ title, ...(known ? answer : {}), status: response.status });
}
