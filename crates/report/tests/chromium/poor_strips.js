(() => {
  const out = [];
  for (const strip of [...document.querySelectorAll('.stretches .strip')].filter((e) => e.checkVisibility())) {
    const svg = strip.querySelector('svg');
    const label = svg.getAttribute('aria-label');
    const words = strip.parentElement.querySelector('p');
    const [s, w] = [svg.getBoundingClientRect(), words.getBoundingClientRect()];
    if (s.width < 150 || s.height < 30) out.push('small: ' + label);
    const wide = Math.min(s.right, w.right) - Math.max(s.left, w.left);
    const high = Math.min(s.bottom, w.bottom) - Math.max(s.top, w.top);
    if (wide > 1 && high > 1) out.push('over its words: ' + label);
    const told = words.innerText.slice(words.querySelector('b').innerText.length + 2);
    if (svg.getAttribute('role') !== 'img' || label !== 'times as dots: ' + told) out.push('unsaid: ' + label);
    for (const text of strip.querySelectorAll('.scale span')) {
      const t = text.getBoundingClientRect();
      if (t.right > s.left + 1 || t.top < s.top - 6 || t.bottom > s.bottom + 6) out.push('scale: ' + text.innerText);
    }
  }
  return out;
})()
