//! CLIPSeg as published (Lueddecke & Ecker, CVPR 2022), with VLSM adapters.
