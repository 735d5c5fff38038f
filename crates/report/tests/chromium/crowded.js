(() => {
  const svg = [...document.querySelectorAll('svg')].find((e) => e.clientWidth);
  if (!svg) return [];
  const s = svg.getBoundingClientRect();
  const all = [...svg.querySelectorAll('text')].map((e) => [e.textContent, e.getBoundingClientRect()]);
  const isOutside = ([, r]) => r.left < s.left || r.right > s.right || r.bottom > s.bottom;
  const out = all.filter(isOutside).map(([text]) => 'outside: ' + text);
  all.forEach(([one, a], i) => all.slice(i + 1).forEach(([other, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 4) out.push(one + ' / ' + other);
  }));
  return out;
})()
