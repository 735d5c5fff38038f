(() => {
  const out = [];
  for (const svg of [...document.querySelectorAll('.sequence svg')].filter((e) => e.clientWidth)) {
    const s = svg.getBoundingClientRect();
    const all = [...svg.querySelectorAll('text')].map((e) => [e.textContent, e.getBoundingClientRect()]);
    all.sort(([, a], [, b]) => a.top - b.top);
    for (const [text, r] of all) {
      if (r.left < s.left - 1 || r.right > s.right + 1 || r.bottom > s.bottom + 1) out.push('outside: ' + text);
    }
    // Only what is near can lie over one another.
    all.forEach(([one, a], i) => all.slice(i + 1, i + 40).forEach(([other, b]) => {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1 && high > 4) out.push(one + ' / ' + other);
    }));
  }
  return out.slice(0, 20);
})()
