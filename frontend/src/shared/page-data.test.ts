// @vitest-environment node
import { once } from "node:events";
import { createServer, request, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BadPageData, MAX_BODY, readPageData, type PageData } from "./page-data";

const DATA: PageData = {
  version: 1,
  path: "/chats/",
  now: "2026-11-23T09:00:00.000Z",
  user: 7,
  snapshot: {
    epoch: "e",
    seq: 1,
    orders: {},
    scopes: { "chat:1": { entities: { chat: [{ id: 1, title: "💬\u2028</script>" }] }, bounds: {} } },
  },
};

let server: Server;
let outcome: unknown[];

beforeEach(async () => {
  outcome = [];
  server = createServer(async (req: IncomingMessage, res) => {
    for (let reading = 0; reading < 2; reading++) {
      await readPageData(req).then(
        (data) => outcome.push(data),
        (error: unknown) => outcome.push(error),
      );
    }
    res.end("done");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(() => void server.close());

/** Sends a body in small pieces, which cut characters in two. */
async function send(method: string, body: Buffer, piece = 7): Promise<void> {
  const outgoing = request({ method, port: (server.address() as AddressInfo).port, host: "127.0.0.1", agent: false });
  for (let at = 0; at < body.length; at += piece) outgoing.write(body.subarray(at, at + piece));
  outgoing.end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
}

describe("page data in a render request", () => {
  it("is read from the body, once", async () => {
    await send("POST", Buffer.from(JSON.stringify(DATA)));
    expect(outcome).toEqual([DATA, null]);
  });

  it("is not expected of other methods", async () => {
    await send("GET", Buffer.alloc(0));
    expect(outcome).toEqual([null, null]);
  });

  it.each([
    ["no JSON", "{"],
    ["nothing", ""],
    ["no object", "null"],
    ["without a version", "{}"],
    ["of another version", JSON.stringify({ ...DATA, version: 2 })],
  ])("that is %s is refused", async (_what, text) => {
    await send("POST", Buffer.from(text));
    expect(outcome[0]).toBeInstanceOf(BadPageData);
    expect(outcome[0]).toMatchObject({ status: 400 });
  });

  it("that is too large is refused, and one byte less is not", async () => {
    const padded = Buffer.from(JSON.stringify(DATA) + " ".repeat(MAX_BODY)).subarray(0, MAX_BODY);
    await send("POST", padded, 65_536);
    expect(outcome[0]).toEqual(DATA);
    outcome = [];
    await send("POST", Buffer.concat([padded, Buffer.from(" ")]), 65_536);
    expect(outcome[0]).toMatchObject({ status: 413 });
  });
});
