import { FsResourceAnalyzer } from 'kube-volume-metrics';
import { statsProvider, volumesOf } from './round/layout.mjs';
import fs from 'node:fs';
const node={root:'/tmp/kvm/r2/node',isMounted:true};
const v=volumesOf(node,100).filter(x=>!x.name.endsWith('empty-dir'));
const a=new FsResourceAnalyzer(statsProvider(v,true),{walkShare:1});
for(let i=0;i<20;i++) await a.calculate();
const st=()=>{const s=fs.readFileSync(`/proc/self/task/${process.pid}/schedstat`,'utf8').split(' ');return Number(s[0])/1e6};
const res=[];
for(let k=0;k<5;k++){const c=process.cpuUsage(),m=st();const g=process.memoryUsage().heapUsed;for(let i=0;i<10;i++) await a.calculate();const d=process.cpuUsage(c);
res.push([((d.user+d.system)/10/v.length).toFixed(1),((st()-m)*1000/10/v.length).toFixed(1)]);}
console.log(v.length,'volumes; us a volume: all, main thread',JSON.stringify(res));
