import path from "node:path";
import type { NextConfig } from "next";

const root = path.resolve(__dirname);
const exported = process.env.BUILD_TARGET === "web";
// Set while `next dev` runs behind Django: the pages come from Django's origin, assets and hot reload straight from here.
const devUrl = process.env.NODE_ENV === "development" ? process.env.FRONTEND_DEV_URL : undefined;

/** Lets pages of this machine, and of no other, load what the development server has. */
function development(url: string): NextConfig {
  const origin = "(?<origin>http://(?:127\\.0\\.0\\.1|localhost):\\d+)";
  return {
    assetPrefix: url,
    allowedDevOrigins: ["127.0.0.1", "localhost", new URL(url).hostname],
    headers: () =>
      Promise.resolve([
        {
          source: "/_next/:path*",
          has: [{ type: "header", key: "origin", value: origin }],
          headers: [{ key: "Access-Control-Allow-Origin", value: ":origin" }],
        },
      ]),
  };
}

const config: NextConfig = {
  output: exported ? "export" : "standalone",
  trailingSlash: true,
  images: { unoptimized: true },
  reactStrictMode: true,
  // Types are checked by `npm run types`, so that a build does not pay for them twice.
  typescript: { ignoreBuildErrors: true },
  outputFileTracingRoot: root,
  turbopack: { root },
  // Django is the only client of the renderer; compression, caching and headers are its business.
  poweredByHeader: false,
  generateEtags: false,
  compress: false,
  experimental: {
    // Page data is meant to travel in the page: no warning before it is as large as the renderer takes.
    largePageDataBytes: 8 * 1024 * 1024,
    // A shared runtime is started by an inline script in every page, which the content security policy forbids.
    turbopackSharedRuntime: false,
  },
  ...(devUrl ? development(devUrl) : {}),
};

export default config;
