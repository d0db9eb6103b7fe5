/*
** Onecopy: a power that every processor and every C library computes alike, to the last bit.
** It is e_pow.c of FreeBSD, with the name changed.
** ====================================================
** Copyright (C) 2004 by Sun Microsystems, Inc. All rights reserved.
**
** Permission to use, copy, modify, and distribute this
** software is freely granted, provided that this notice
** is preserved.
** ====================================================
*/

#include <math.h>
#include <stdint.h>
#include <string.h>

static uint64_t bits (double x) { uint64_t b; memcpy(&b, &x, 8); return b; }
static double of_bits (uint64_t b) { double x; memcpy(&x, &b, 8); return x; }
static double with_high (double x, uint32_t high) {
  return of_bits((uint64_t)high << 32 | (bits(x) & 0xffffffffu));
}
static double with_low (double x, uint32_t low) {
  return of_bits((bits(x) >> 32) << 32 | low);
}

static const double
  bp[] = {1.0, 1.5},
  dp_h[] = {0.0, 5.84962487220764160156e-01}, /* 0x3FE2B803, 0x40000000 */
  dp_l[] = {0.0, 1.35003920212974897128e-08}, /* 0x3E4CFDEB, 0x43CFD006 */
  two53 = 9007199254740992.0,
  huge = 1.0e300,
  tiny = 1.0e-300,
  /* poly coefs for (3/2)*(log(x)-2s-2/3*s**3 */
  L1 = 5.99999999999994648725e-01,
  L2 = 4.28571428578550184252e-01,
  L3 = 3.33333329818377432918e-01,
  L4 = 2.72728123808534006489e-01,
  L5 = 2.30660745775561754067e-01,
  L6 = 2.06975017800338417784e-01,
  P1 = 1.66666666666666019037e-01,
  P2 = -2.77777777770155933842e-03,
  P3 = 6.61375632143793436117e-05,
  P4 = -1.65339022054652515390e-06,
  P5 = 4.13813679705723846039e-08,
  lg2 = 6.93147180559945286227e-01,
  lg2_h = 6.93147182464599609375e-01,
  lg2_l = -1.90465429995776804525e-09,
  ovt = 8.0085662595372944372e-17, /* -(1024-log2(ovfl+.5ulp)) */
  cp = 9.61796693925975554329e-01, /* 2/(3ln2) */
  cp_h = 9.61796700954437255859e-01, /* (float)cp */
  cp_l = -7.02846165095275826516e-09, /* tail of cp_h */
  ivln2 = 1.44269504088896338700e+00, /* 1/ln2 */
  ivln2_h = 1.44269502162933349609e+00, /* 24b 1/ln2 */
  ivln2_l = 1.92596299112661746887e-08; /* 1/ln2 tail */

double luai_pow (double x, double y) {
  double z, ax, p_h, p_l, y1, t1, t2, r, s, t, u, v, w;
  int32_t i, j, k, yisint, n;
  int32_t hx = (int32_t)(bits(x) >> 32), hy = (int32_t)(bits(y) >> 32);
  uint32_t lx = (uint32_t)bits(x), ly = (uint32_t)bits(y);
  int32_t ix = hx & 0x7fffffff, iy = hy & 0x7fffffff;

  if (((uint32_t)iy | ly) == 0) return 1.0;  /* x**0 = 1, even if x is NaN */
  if (hx == 0x3ff00000 && lx == 0) return 1.0;  /* 1**y = 1, even if y is NaN */
  if (ix > 0x7ff00000 || (ix == 0x7ff00000 && lx != 0) ||
      iy > 0x7ff00000 || (iy == 0x7ff00000 && ly != 0))
    return x + y;  /* NaN if either arg is NaN */

  /* determine if y is an odd int when x < 0:
     0: y is not an integer, 1: y is an odd int, 2: y is an even int */
  yisint = 0;
  if (hx < 0) {
    if (iy >= 0x43400000) yisint = 2;
    else if (iy >= 0x3ff00000) {
      k = (iy >> 20) - 0x3ff;
      if (k > 20) {
        uint32_t low = ly >> (52 - k);
        if ((low << (52 - k)) == ly) yisint = 2 - (int32_t)(low & 1);
      }
      else if (ly == 0) {
        j = iy >> (20 - k);
        if ((j << (20 - k)) == iy) yisint = 2 - (j & 1);
      }
    }
  }

  if (ly == 0) {  /* special value of y */
    if (iy == 0x7ff00000) {  /* y is +-inf */
      if (((uint32_t)(ix - 0x3ff00000) | lx) == 0) return 1.0;  /* (-1)**+-inf is 1 */
      if (ix >= 0x3ff00000) return hy >= 0 ? y : 0.0;  /* (|x|>1)**+-inf = inf,0 */
      return hy >= 0 ? 0.0 : -y;  /* (|x|<1)**+-inf = 0,inf */
    }
    if (iy == 0x3ff00000) return hy >= 0 ? x : 1.0 / x;  /* y is +-1 */
    if (hy == 0x40000000) return x * x;  /* y is 2 */
    if (hy == 0x3fe00000 && hx >= 0) return sqrt(x);  /* y is 0.5, x >= +0 */
  }

  ax = fabs(x);
  if (lx == 0 && (ix == 0x7ff00000 || ix == 0 || ix == 0x3ff00000)) {  /* x is +-0,+-inf,+-1 */
    z = ax;
    if (hy < 0) z = 1.0 / z;  /* z = (1/|x|) */
    if (hx < 0) {
      if (((ix - 0x3ff00000) | yisint) == 0) z = (z - z) / (z - z);  /* (-1)**non-int is NaN */
      else if (yisint == 1) z = -z;  /* (x<0)**odd = -(|x|**odd) */
    }
    return z;
  }

  s = 1.0;  /* sign of result */
  if (hx < 0) {
    if (yisint == 0) return (x - x) / (x - x);  /* (x<0)**(non-int) is NaN */
    if (yisint == 1) s = -1.0;  /* (x<0)**(odd int) */
  }

  if (iy > 0x41e00000) {  /* |y| > 2**31 */
    if (iy > 0x43f00000) {  /* |y| > 2**64, must o/uflow */
      if (ix <= 0x3fefffff) return hy < 0 ? huge * huge : tiny * tiny;
      if (ix >= 0x3ff00000) return hy > 0 ? huge * huge : tiny * tiny;
    }
    /* over/underflow if x is not close to one */
    if (ix < 0x3fefffff) return hy < 0 ? s * huge * huge : s * tiny * tiny;
    if (ix > 0x3ff00000) return hy > 0 ? s * huge * huge : s * tiny * tiny;
    /* now |1-x| is tiny <= 2**-20, suffice to compute log(x) by x-x^2/2+x^3/3-x^4/4 */
    t = ax - 1.0;
    w = (t * t) * (0.5 - t * (0.3333333333333333333333 - t * 0.25));
    u = ivln2_h * t;
    v = t * ivln2_l - w * ivln2;
    t1 = with_low(u + v, 0);
    t2 = v - (t1 - u);
  }
  else {
    double ss, s2, s_h, s_l, t_h, t_l, z_h, z_l;
    n = 0;
    if (ix < 0x00100000) {  /* take care of subnormal numbers */
      ax *= two53;
      n -= 53;
      ix = (int32_t)(bits(ax) >> 32);
    }
    n += (ix >> 20) - 0x3ff;
    j = ix & 0x000fffff;
    ix = j | 0x3ff00000;  /* normalize ix */
    if (j <= 0x3988E) k = 0;  /* |x|<sqrt(3/2) */
    else if (j < 0xBB67A) k = 1;  /* |x|<sqrt(3) */
    else { k = 0; n += 1; ix -= 0x00100000; }
    ax = with_high(ax, (uint32_t)ix);
    /* compute ss = s_h+s_l = (x-1)/(x+1) or (x-1.5)/(x+1.5) */
    u = ax - bp[k];
    v = 1.0 / (ax + bp[k]);
    ss = u * v;
    s_h = with_low(ss, 0);
    /* t_h=ax+bp[k] High */
    t_h = with_high(0.0, (((uint32_t)ix >> 1) | 0x20000000) + 0x00080000 + ((uint32_t)k << 18));
    t_l = ax - (t_h - bp[k]);
    s_l = v * ((u - s_h * t_h) - s_h * t_l);
    /* compute log(ax) */
    s2 = ss * ss;
    r = s2 * s2 * (L1 + s2 * (L2 + s2 * (L3 + s2 * (L4 + s2 * (L5 + s2 * L6)))));
    r += s_l * (s_h + ss);
    s2 = s_h * s_h;
    t_h = with_low(3.0 + s2 + r, 0);
    t_l = r - ((t_h - 3.0) - s2);
    /* u+v = ss*(1+...) */
    u = s_h * t_h;
    v = s_l * t_h + t_l * ss;
    /* 2/(3log2)*(ss+...) */
    p_h = with_low(u + v, 0);
    p_l = v - (p_h - u);
    z_h = cp_h * p_h;  /* cp_h+cp_l = 2/(3*log2) */
    z_l = cp_l * p_h + p_l * cp + dp_l[k];
    /* log2(ax) = (ss+..)*2/(3*log2) = n + dp_h + z_h + z_l */
    t = (double)n;
    t1 = with_low(((z_h + z_l) + dp_h[k]) + t, 0);
    t2 = z_l - (((t1 - t) - dp_h[k]) - z_h);
  }

  /* split up y into y1+y2 and compute (y1+y2)*(t1+t2) */
  y1 = with_low(y, 0);
  p_l = (y - y1) * t1 + y * t2;
  p_h = y1 * t1;
  z = p_l + p_h;
  j = (int32_t)(bits(z) >> 32);
  i = (int32_t)(uint32_t)bits(z);
  if (j >= 0x40900000) {  /* z >= 1024 */
    if (((j - 0x40900000) | i) != 0) return s * huge * huge;  /* z > 1024: overflow */
    if (p_l + ovt > z - p_h) return s * huge * huge;
  }
  else if ((j & 0x7fffffff) >= 0x4090cc00) {  /* z <= -1075 */
    if ((((uint32_t)j - 0xc090cc00u) | (uint32_t)i) != 0) return s * tiny * tiny;  /* underflow */
    if (p_l <= z - p_h) return s * tiny * tiny;
  }

  /* compute 2**(p_h+p_l) */
  i = j & 0x7fffffff;
  k = (i >> 20) - 0x3ff;
  n = 0;
  if (i > 0x3fe00000) {  /* if |z| > 0.5, set n = [z+0.5] */
    n = j + (0x00100000 >> (k + 1));
    k = ((n & 0x7fffffff) >> 20) - 0x3ff;  /* new k for n */
    t = with_high(0.0, (uint32_t)(n & ~(0x000fffff >> k)));
    n = ((n & 0x000fffff) | 0x00100000) >> (20 - k);
    if (j < 0) n = -n;
    p_h -= t;
  }
  t = with_low(p_l + p_h, 0);
  u = t * lg2_h;
  v = (p_l - (t - p_h)) * lg2 + t * lg2_l;
  z = u + v;
  w = v - (z - u);
  t = z * z;
  t1 = z - t * (P1 + t * (P2 + t * (P3 + t * (P4 + t * P5))));
  r = (z * t1) / (t1 - 2.0) - (w + z * w);
  z = 1.0 - (r - z);
  j = (int32_t)(bits(z) >> 32);
  j += (int32_t)((uint32_t)n << 20);
  if ((j >> 20) <= 0) z = scalbn(z, n);  /* subnormal output */
  else z = with_high(z, (uint32_t)j);
  return s * z;
}
