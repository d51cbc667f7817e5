import nextVitals from "eslint-config-next/core-web-vitals";
import nextTypescript from "eslint-config-next/typescript";

/** Who may import whom: pages -> features/<x> -> shared. */
const layers = {
  meta: {
    type: "problem",
    schema: [],
    messages: { layer: "{{from}} must not import {{to}}: pages -> features/<x> -> shared." },
  },
  create(context) {
    const from = layerOf(context.filename);
    const check = (node) => {
      if (!node.source || typeof node.source.value !== "string") return;
      const to = layerOf(resolved(context.filename, node.source.value));
      if (from && to && !allowed(from, to))
        context.report({ node: node.source, messageId: "layer", data: { from, to } });
    };
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
    };
  },
};

/** "shared", "pages" or "features/<x>"; the composition root `src/app-store.ts` is part of pages. */
function layerOf(file) {
  const inside = file.replaceAll("\\", "/").split("/src/").at(-1) ?? "";
  const [layer, name] = inside.split("/");
  if (layer === "shared" || layer === "pages") return layer;
  if (layer === "features" && name) return `features/${name}`;
  return layer?.startsWith("app-store") ? "pages" : undefined;
}

function resolved(file, source) {
  if (source.startsWith("@/")) return `/src/${source.slice(2)}`;
  return source.startsWith(".") ? new URL(source, `file://${file}`).pathname : source;
}

function allowed(from, to) {
  return from === to || to === "shared" || from === "pages";
}

const config = [
  { ignores: [".next/**", "out/**", "next-env.d.ts", "node_modules/**"] },
  ...nextVitals,
  ...nextTypescript,
  {
    plugins: { local: { rules: { layers } } },
    rules: {
      "local/layers": "error",
      // Who signs in or out gets a new document on purpose: nothing of the last person may stay in memory.
      "@next/next/no-location-assign-relative-destination": "off",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
  },
  {
    files: ["src/**/*.tsx"],
    rules: {
      "react/forbid-dom-props": [
        "error",
        { forbid: [{ propName: "style", message: "Pages forbid inline style; use a class." }] },
      ],
      "react/forbid-component-props": [
        "error",
        { forbid: [{ propName: "style", message: "Pages forbid inline style; use a class." }] },
      ],
      "react/no-danger": "error",
    },
  },
];

export default config;
