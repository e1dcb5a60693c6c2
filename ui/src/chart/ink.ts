/** Colours for canvases, apart from the charts' options: not everything that is drawn is a chart over time. */

/** Canvas knows no CSS variables: ask the document for their value under the current scheme. */
export function resolveColour(expression: string): string {
  const name = /^var\((--[\w-]+)\)$/.exec(expression)?.[1];
  return name ? getComputedStyle(document.documentElement).getPropertyValue(name).trim() || '#888' : expression;
}
