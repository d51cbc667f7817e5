"use strict";

(() => {
  const { schemaUrl, csrfHeader, csrfCookie, settings } = document.getElementById("swagger-ui").dataset;

  // Read for each request: signing in gives the browser another token.
  const csrfToken = () => {
    const cookies = document.cookie.split("; ");
    const found = cookies.find((cookie) => cookie.startsWith(`${csrfCookie}=`));
    return found === undefined ? "" : decodeURIComponent(found.slice(csrfCookie.length + 1));
  };

  const requestInterceptor = (request) => {
    const ours = new URL(request.url, document.baseURI).origin === window.location.origin;
    if (ours && !["GET", "HEAD", undefined].includes(request.method)) {
      request.headers[csrfHeader] = csrfToken();
    }
    return request;
  };

  SwaggerUIBundle({
    ...JSON.parse(settings),
    url: schemaUrl,
    dom_id: "#swagger-ui",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    requestInterceptor,
  });
})();
