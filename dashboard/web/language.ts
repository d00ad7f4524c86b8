/**
 * Chromium on a machine with the C locale calls its language "en-US@posix", which is no language tag, and the chart
 * library throws on it before anything is drawn. Imported before the library; harmless everywhere else.
 */
try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en", configurable: true });
}
