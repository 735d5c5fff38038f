(() => {
  const svg = [...document.querySelectorAll('svg')].find((e) => e.clientWidth);
  const shape = (e) => [e.tagName, e.tagName === 'text' ? e.textContent : '',
    ...['r', 'width', 'height'].map((name) => e.getAttribute(name)),
    (e.getAttribute('d') ?? '').replace(/^M[\d.]+ [\d.]+/, '')];
  const legend = {};
  let parts = [];
  for (const e of svg.querySelector('.legend').parentElement.children) {
    if (e.classList.contains('legend')) {
      if (parts.length) legend[e.textContent] = parts;
      parts = [];
    } else if (['circle', 'path', 'rect'].includes(e.tagName) || e.classList.contains('ask')) {
      parts.push(shape(e));
    } else {
      parts = [];
    }
  }
  const isMark = (e) => e.tagName !== 'title' && !e.classList.contains('touch');
  const stations = [...svg.querySelectorAll('a')].map((a) =>
    [a.getAttribute('aria-label'), [...a.children].filter(isMark).map(shape)]);
  return { legend, stations };
})()
