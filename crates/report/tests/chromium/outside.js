(() => {
  const width = document.documentElement.clientWidth;
  const isOutside = (e) => {
    const r = e.getBoundingClientRect();
    return r.width > 0 && r.height > 0 && (r.left < -0.5 || r.right > width + 0.5);
  };
  const out = [...document.querySelectorAll('body *')].filter(isOutside).map((e) => e.outerHTML.slice(0, 200));
  if (document.documentElement.scrollWidth > width) out.push('the page is ' + document.documentElement.scrollWidth);
  return out;
})()
