import { FsResourceAnalyzer } from 'kube-volume-metrics';
import { statsProvider, volumesOf, floorList } from './round/layout.mjs';
import fs from 'node:fs'; import {execFileSync} from 'node:child_process';
const node={root:'/tmp/kvm/r2/node',isMounted:true};
const v=volumesOf(node,25);
fs.writeFileSync('/tmp/kvm/r2/list',floorList(v));
const a=new FsResourceAnalyzer(statsProvider(v,true),{walkShare:1});
const b=new FsResourceAnalyzer(statsProvider(v.filter(x=>!x.name.endsWith('empty-dir')),true),{walkShare:1});
for(let i=0;i<30;i++) await b.calculate();
for(let i=0;i<5;i++) await a.calculate();
const st=()=>{const o={main:0,walk:0,other:0};for(const t of fs.readdirSync('/proc/self/task')){try{const s=Number(fs.readFileSync(`/proc/self/task/${t}/schedstat`,'utf8').split(' ')[0])/1e6;const st=fs.readFileSync(`/proc/self/task/${t}/stat`,'latin1');const n=st.slice(st.lastIndexOf(')')+2).split(' ')[16];o[t==process.pid?'main':n=='19'?'walk':'other']+=s;}catch{}}return o};
const med=x=>x.sort((a,b)=>a-b)[x.length>>1];
const R={own:[],bare:[],main:[],walk:[],other:[],ratio:[]};
for(let k=0;k<11;k++){
const f=Number(execFileSync('/tmp/kvm/r2/bin/floor',['/tmp/kvm/r2/list','2','0','1','0'],{encoding:'utf8'}).trim().split(' ')[3]);
const m=st(),c=process.cpuUsage();await a.calculate();const d=process.cpuUsage(c),m2=st();
const own=(d.user+d.system)/1000;R.own.push(own);R.bare.push(f);R.ratio.push(own/f);for(const k of ['main','walk','other'])R[k].push(m2[k]-m[k]);}
for(const k in R)console.log(k,med(R[k]).toFixed(2));
