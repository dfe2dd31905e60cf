"""Temporary backend."""
import numpy as np
from bridgex.testing import reference as r

def _pack(idx, n):
    b=np.zeros(-(-n//64)*64,np.uint8); b[idx]=1
    return np.packbits(b,bitorder="little").view(np.uint64)
def top_k(values,k,*,tie_break=None):
    if np.isnan(values).any(): raise ValueError("NaN")
    return _pack(r.top_k(values,k,tie_break),values.size)
def overlap_counts(bitsets,offsets):
    bits=np.unpackbits(bitsets.view(np.uint8),axis=1,bitorder="little").astype(np.float64)
    return np.array([bits[:,a:b]@bits[:,a:b].T for a,b in zip(offsets[:-1],offsets[1:])]).astype(np.uint64)
def _mx(m,ax):
    return np.where(np.isnan(m).all(ax),np.nan,np.nanmax(np.where(np.isnan(m),-np.inf,m),axis=ax,initial=-np.inf))
def dependence(x,y,*,estimator,normalize,bandwidth,tol,dtype,threads,matrix):
    m=r.dependence_matrix(x,y,estimator=estimator,normalize=normalize,bandwidth=bandwidth)
    return r.layer_score(m),_mx(m,1),_mx(m,0),m if matrix else None,0,0.0,np.ones(len(x)),np.ones(len(y)),0,0
def spectrum_scores(p,b,mem,*,estimator,normalize,bandwidth,tol,threads):
    L,C=len(p),len(mem[0]) if mem else 0
    s=np.full((L,C),np.nan);reason=np.zeros((L,C),np.uint8);z=np.zeros((L,C),np.int64)
    for l in range(L):
        for c in range(C):
            if len(p[l])==0: reason[l,c]=1
            elif len(mem[l][c])==0: reason[l,c]=2
            else:
                m=r.dependence_matrix(p[l],b[l][mem[l][c]],estimator=estimator,normalize=normalize,bandwidth=bandwidth)
                s[l,c]=r.layer_score(m)
                if np.isnan(s[l,c]): reason[l,c]=3
    return s,reason,np.zeros(L,np.int64),np.zeros(L),z,z
