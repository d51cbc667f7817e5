import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { api, ApiProblem } from "./api";

const fetched = vi.fn<typeof fetch>();

function answer(status: number, body: unknown = ""): Response {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return new Response(status === 204 ? null : text, { status });
}

async function problem(promise: Promise<unknown>): Promise<ApiProblem> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ApiProblem);
  return error as ApiProblem;
}

beforeEach(() => {
  fetched.mockReset();
  vi.stubGlobal("fetch", fetched);
  document.cookie = "csrftoken=abc=";
});

afterEach(() => {
  document.cookie = "csrftoken=; max-age=0";
});

describe("a call", () => {
  it("reads JSON", async () => {
    fetched.mockResolvedValue(answer(200, [{ id: 1 }]));
    expect(await api.get("/api/chats")).toEqual([{ id: 1 }]);
    const [path, init] = fetched.mock.calls[0] ?? [];
    expect(path).toBe("/api/chats");
    expect(init).toMatchObject({ method: "GET", credentials: "same-origin" });
    expect(init?.body).toBeUndefined();
  });

  it("that writes sends JSON with the CSRF token", async () => {
    fetched.mockResolvedValue(answer(201, { id: 1 }));
    await api.post("/api/chats", { title: "a" });
    const init = fetched.mock.calls[0]?.[1];
    expect(init).toMatchObject({ method: "POST", body: '{"title":"a"}' });
    expect(init?.headers).toMatchObject({ "X-CSRFToken": "abc=", "Content-Type": "application/json" });
  });

  it("that writes fetches the CSRF token first if there is none", async () => {
    document.cookie = "csrftoken=; max-age=0";
    fetched.mockImplementation((path) => {
      if (path === "/api/session") document.cookie = "csrftoken=new";
      return Promise.resolve(answer(204));
    });
    expect(await api.delete("/api/chats/1")).toBeUndefined();
    expect(fetched.mock.calls.map(([path]) => path)).toEqual(["/api/session", "/api/chats/1"]);
    expect(fetched.mock.calls[1]?.[1]?.headers).toMatchObject({ "X-CSRFToken": "new" });
  });
});

describe("a failed call", () => {
  it("tells what is wrong, by field", async () => {
    const errors = [
      { field: "username", code: "required", detail: "This field is required." },
      { field: "username", code: "other", detail: "And more." },
      { field: null, code: "invalid", detail: "These do not go together." },
    ];
    fetched.mockResolvedValue(answer(400, { status: 400, detail: "The input is not valid.", errors }));
    const { status, detail, fields } = await problem(api.put("/api/profile", {}));
    expect({ status, detail, fields }).toEqual({
      status: 400,
      detail: "These do not go together.",
      fields: { username: "This field is required." },
    });
  });

  it("tells the server's own words", async () => {
    fetched.mockResolvedValue(answer(403, { detail: "Not yours." }));
    expect(await problem(api.patch("/api/x", {}))).toMatchObject({
      status: 403,
      detail: "Not yours.",
      message: "Not yours.",
    });
  });

  it.each([
    [502, "<html>Bad gateway</html>"],
    [500, ""],
    [200, "<html>Some portal</html>"],
  ])("never shows what is no answer of this server (%i %s)", async (status, text) => {
    fetched.mockResolvedValue(answer(status, text));
    const { status: told, detail } = await problem(api.get("/api/x"));
    expect(told).toBe(status);
    expect(detail).toContain("Try again");
  });

  it("has status 0 if no answer came", async () => {
    fetched.mockRejectedValue(new TypeError("Failed to fetch"));
    expect(await problem(api.get("/api/x"))).toMatchObject({ status: 0, fields: {} });
  });
});
