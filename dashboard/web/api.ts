/** Asks the API. Addresses are relative to the page, so that it works below any path of a reverse proxy. */
import type { Problem } from "./api-types.ts";

type Query = Readonly<Record<string, string | number | undefined>>;

/** What the server said went wrong, in its own words. */
export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

export function apiUrl(path: string, query: URLSearchParams = new URLSearchParams()): string {
  const text = query.toString();
  return `api/v1/${path}${text ? `?${text}` : ""}`;
}

/** @throws ApiError; TypeError where no server answers */
export async function ask<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const params = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  const response = await fetch(apiUrl(path, params), signal ? { signal } : {});
  if (response.ok) return (await response.json()) as T;
  const problem = (await response.json().catch(() => undefined)) as Problem | undefined;
  throw new ApiError(response.status, problem?.detail ?? `The server answered ${response.status}.`);
}
