"""The units of UCUM that health data use: each by its value in others, down to a few bases.

A line is a code, its number and its unit; `*` behind the code: it takes prefixes. A base stands for
itself. An equivalent and an osmole are bases here and not moles, because how many
there are in a mole depends on the substance.

Spec: https://ucum.org/ucum (case-sensitive codes)
"""

_BASES = """
m s g K C cd mol rad eq osm bit Np B [pH] [iU] [arb'U] [USP'U] [HPF] [LPF] [CFU] [PFU] [FFU]
[AU] [BAU] [EU] [Ct] [hnsf'U] [knk'U] [mclg'U] [todd'U] [dye'U] [smgy'U] [bdsk'U] [ka'U] [tb'U]
[CCID_50] [TCID_50] [EID_50] [LD] [IR] [GPL'U] [MPL'U] [APL'U] [beth'U] [anti'Xa'U] [S]
"""
_WITH_PREFIXES = "m s g K C cd mol rad eq osm bit Np B [pH] [iU] [CFU] [EU]"
BASES = frozenset(_BASES.split())
METRIC_BASES = frozenset(_WITH_PREFIXES.split())

PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip

ATOMS = """
10* 10 1
10^ 10 1
[pi] 3.1415926535897932384626433832795028841971693993751058209749445923 1
% 0.01 1
[ppth] 0.001 1
[ppm] 0.000001 1
[ppb] 0.000000001 1
[pptr] 0.000000000001 1
sr* 1 rad2
Hz* 1 s-1
N* 1 kg.m/s2
Pa* 1 N/m2
J* 1 N.m
W* 1 J/s
A* 1 C/s
V* 1 J/C
F* 1 C/V
Ohm* 1 V/A
S* 1 Ohm-1
Wb* 1 V.s
T* 1 Wb/m2
H* 1 Wb/A
lm* 1 cd.sr
lx* 1 lm/m2
Bq* 1 s-1
Gy* 1 J/kg
Sv* 1 J/kg
kat* 1 mol/s
U* 1 umol/min
[IU]* 1 [iU]
gon 0.9 deg
deg 2 [pi].rad/360
' 1 deg/60
'' 1 '/60
circ 2 [pi].rad
sph 4 [pi].sr
l* 1 dm3
L* 1 l
ar* 100 m2
st* 1 m3
min 60 s
h 60 min
d 24 h
wk 7 d
a_t 365.24219 d
a_j 365.25 d
a_g 365.2425 d
a 1 a_j
mo_s 29.53059 d
mo_j 1 a_j/12
mo_g 1 a_g/12
mo 1 mo_j
t* 1000 kg
bar* 100000 Pa
u* 1.6605402 10*-24.g
eV* 1.60217733 10*-19.J
AU 149597.870691 Mm
pc* 3.085678 10*16.m
[c]* 299792458 m/s
[g]* 9.80665 m/s2
[ly]* 1 [c].a_j
atm 101325 Pa
gf* 1 g.[g]
[lbf_av] 1 [lb_av].[g]
Ky* 1 cm-1
Gal* 1 cm/s2
dyn* 1 g.cm/s2
erg* 1 dyn.cm
P* 1 dyn.s/cm2
Bi* 10 A
St* 1 cm2/s
Mx* 0.00000001 Wb
G* 0.0001 T
ph* 0.0001 lx
Ci* 37000000000 Bq
R* 0.000258 C/kg
RAD* 100 erg/g
REM* 1 RAD
[in_i] 2.54 cm
[ft_i] 12 [in_i]
[yd_i] 3 [ft_i]
[mi_i] 5280 [ft_i]
[fth_i] 6 [ft_i]
[nmi_i] 1852 m
[kn_i] 1 [nmi_i]/h
[sin_i] 1 [in_i]2
[sft_i] 1 [ft_i]2
[syd_i] 1 [yd_i]2
[cin_i] 1 [in_i]3
[cft_i] 1 [ft_i]3
[cyd_i] 1 [yd_i]3
[hd_i] 4 [in_i]
[mil_i] 0.001 [in_i]
[ft_us] 1200 m/3937
[in_us] 1 [ft_us]/12
[yd_us] 3 [ft_us]
[rd_us] 16.5 [ft_us]
[fur_us] 40 [rd_us]
[mi_us] 8 [fur_us]
[acr_us] 160 [rd_us]2
[gal_us] 231 [in_i]3
[bbl_us] 42 [gal_us]
[qt_us] 1 [gal_us]/4
[pt_us] 1 [qt_us]/2
[gil_us] 1 [pt_us]/4
[foz_us] 1 [gil_us]/4
[fdr_us] 1 [foz_us]/8
[min_us] 1 [fdr_us]/60
[tbs_us] 1 [foz_us]/2
[tsp_us] 1 [tbs_us]/3
[cup_us] 16 [tbs_us]
[foz_m] 30 mL
[cup_m] 240 mL
[tbs_m] 15 mL
[tsp_m] 5 mL
[gal_br] 4.54609 l
[qt_br] 1 [gal_br]/4
[pt_br] 1 [qt_br]/2
[gil_br] 1 [pt_br]/4
[foz_br] 1 [gil_br]/5
[fdr_br] 1 [foz_br]/8
[min_br] 1 [fdr_br]/60
[gr] 64.79891 mg
[lb_av] 7000 [gr]
[oz_av] 1 [lb_av]/16
[dr_av] 1 [oz_av]/16
[scwt_av] 100 [lb_av]
[lcwt_av] 112 [lb_av]
[ston_av] 20 [scwt_av]
[lton_av] 20 [lcwt_av]
[stone_av] 14 [lb_av]
[pwt_tr] 24 [gr]
[oz_tr] 20 [pwt_tr]
[lb_tr] 12 [oz_tr]
[sc_ap] 20 [gr]
[dr_ap] 3 [sc_ap]
[oz_ap] 8 [dr_ap]
[lb_ap] 12 [oz_ap]
[oz_m] 28 g
[car_m] 0.2 g
cal_[15]* 4.18580 J
cal_[20]* 4.18190 J
cal_m* 4.19002 J
cal_IT* 4.1868 J
cal_th* 4.184 J
cal* 1 cal_th
[Cal] 1 kcal_th
[Btu_IT] 1.05505585262 kJ
[Btu_th] 1.054350 kJ
[Btu] 1 [Btu_th]
[HP] 550 [ft_i].[lbf_av]/s
tex* 1 g/km
[den] 1 g/9/km
m[H2O]* 9.80665 kPa
m[Hg]* 133.3220 kPa
[in_i'H2O] 1 m[H2O].[in_i]/m
[in_i'Hg] 1 m[Hg].[in_i]/m
[PRU] 1 mm[Hg].s/ml
[wood'U] 1 mm[Hg].min/L
[diop] 1 m-1
[mesh_i] 1 [in_i]-1
[Ch] 1 mm/3
[drp] 1 ml/20
[MET] 3.5 mL/min/kg
Ao 0.1 nm
b 100 fm2
att 1 kgf/cm2
mho* 1 S
[psi] 1 [lbf_av]/[in_i]2
By* 8 bit
g% 1 g/dl
"""

# as people write results: with these a search compares what is written, and no index row is added;
# the first of a line is the one that others are converted to
PLAIN = """
g/L mg/dL g/dL
mmol/L
10*9/L 10*3/uL 10*12/L 10*6/uL
mm[Hg]
kg pg
cm
/min
%
U/L kU/L
kg/m2
mL fL
s min a
mL/min mL/min/{1.73_m2}
deg
[pH]
[iU]/L [IU]/L m[IU]/L
[IU] [iU]
meq/L
"""

# of temperatures: what is added before the number is multiplied and divided, to be Cel
TEMPERATURES = {
    "Cel": ("0", 1, 1),
    "K": ("-273.15", 1, 1),
    "[degF]": ("-32", 5, 9),
    "[degR]": ("-491.67", 5, 9),
    "[degRe]": ("0", 5, 4),
}
